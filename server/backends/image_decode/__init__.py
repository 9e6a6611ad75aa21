"""Encoded images to pixels, as in training."""
