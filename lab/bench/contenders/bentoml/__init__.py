"""BentoML in front of ONNX Runtime."""
