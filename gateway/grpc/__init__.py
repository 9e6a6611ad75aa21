"""The gRPC side: KServe's inference protocol as Triton speaks it, for pipelines alone."""
