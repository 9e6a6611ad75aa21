"""The only door: takes encoded images over HTTP or gRPC, asks Triton, hands on what it decided."""
