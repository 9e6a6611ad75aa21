"""Stands in for the native PyTorch backend where Triton ships without it."""
