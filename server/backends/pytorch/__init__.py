"""Replaces the native PyTorch backend in a Triton that is built without it."""
