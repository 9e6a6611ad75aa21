"""The client of Triton: calls, tensors, and what Triton's errors mean."""
