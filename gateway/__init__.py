"""The HTTP door: takes encoded images, asks Triton over gRPC, renders what Triton decided."""
