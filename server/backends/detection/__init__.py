"""Triton backend `detection`: the decision step of detectors."""
