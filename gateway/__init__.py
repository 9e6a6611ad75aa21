"""The gateway: takes encoded images over HTTP or gRPC, asks Triton, and renders its decision."""
