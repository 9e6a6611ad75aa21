"""The gRPC door: KServe's inference protocol as Triton speaks it, for pipelines alone."""
