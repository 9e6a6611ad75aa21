"""A member that takes time but no processor."""
