"""The Triton client: calls, tensors, and the meaning of Triton's errors."""
