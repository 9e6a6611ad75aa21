"""LitServe in front of ONNX Runtime."""
