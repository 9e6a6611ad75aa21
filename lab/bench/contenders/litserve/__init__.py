"""LitServe with ONNX Runtime."""
