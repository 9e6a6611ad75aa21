"""Checks what the service says of its compute time, and how fast a million rows are summed up."""
