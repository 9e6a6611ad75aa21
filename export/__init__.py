"""Checkpoints in, a Triton model repository out. The only torch code outside Triton."""
