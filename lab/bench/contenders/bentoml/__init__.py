"""BentoML with ONNX Runtime."""
