"""The gRPC transport: KServe's inference protocol, for pipelines only."""
