"""Measures cost as photos, batches, callers and pipelines grow, and sizes a cluster from it."""
