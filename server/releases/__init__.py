"""Finds the releases that can be served, and verifies their files."""
