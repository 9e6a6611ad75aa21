"""Ray Serve in front of ONNX Runtime."""
