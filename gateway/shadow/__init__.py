"""Copies of answered images for a candidate: compared with what was answered, and counted."""
