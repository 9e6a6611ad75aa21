"""Finds processes, threads and batches for the machine at hand, by trying them."""
