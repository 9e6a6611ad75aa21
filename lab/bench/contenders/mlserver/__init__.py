"""MLServer with ONNX Runtime."""
