"""Measures cost against photo size, batches, callers and pipelines, and computes a cluster size."""
