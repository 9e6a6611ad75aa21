"""Python-based Triton backends, one in each folder; Triton finds them by the folder's name."""
