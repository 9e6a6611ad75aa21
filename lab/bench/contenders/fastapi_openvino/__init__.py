"""The same FastAPI around OpenVINO."""
