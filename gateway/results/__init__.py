"""The results of pipelines: read from Triton's tensors, checked, and rendered as JSON."""
