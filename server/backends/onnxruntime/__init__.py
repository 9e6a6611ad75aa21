"""Replaces the native ONNX Runtime backend in a Triton that is built without it."""
