"""FastAPI with OpenVINO."""
