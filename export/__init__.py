"""Converts checkpoints into a Triton model repository."""
