"""Ray Serve with ONNX Runtime."""
