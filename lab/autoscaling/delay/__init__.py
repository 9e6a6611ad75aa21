"""A Triton backend that waits instead of computing."""
