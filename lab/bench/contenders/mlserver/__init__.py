"""MLServer in front of ONNX Runtime."""
