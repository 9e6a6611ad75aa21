"""Whether pipelines answer, and what others are told of it."""
