"""Runs tritonserver: the launcher that starts and supervises it, and its Python-based backends."""
