"""Stands in for the native ONNX Runtime backend where Triton ships without it."""
