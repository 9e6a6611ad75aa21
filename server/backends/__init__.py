"""Python-based Triton backends, one folder each; Triton finds them by the folder's name."""
