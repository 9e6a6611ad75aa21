"""Runs tritonserver: the launcher that starts and watches it, and its Python-based backends."""
