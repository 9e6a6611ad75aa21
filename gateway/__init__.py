"""The gateway: takes encoded images over HTTP or gRPC, asks Triton, and renders its decision."""

VERSION = "0.1.0"
"""The project's, as in pyproject.toml."""
