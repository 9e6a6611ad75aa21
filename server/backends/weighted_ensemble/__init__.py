"""Triton backend `weighted_ensemble`: the decision step of classifications."""
