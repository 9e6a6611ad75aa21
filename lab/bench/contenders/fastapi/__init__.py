"""FastAPI around ONNX Runtime: the plainest server that is not naive."""
