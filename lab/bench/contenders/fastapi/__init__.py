"""FastAPI with ONNX Runtime: the simplest reasonable server."""
