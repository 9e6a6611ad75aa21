"""What a pipeline answered: read from Triton's tensors, checked, and given its JSON shape."""
