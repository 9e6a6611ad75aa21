"""Finds the best numbers of processes, threads and batches for this machine by measuring."""
