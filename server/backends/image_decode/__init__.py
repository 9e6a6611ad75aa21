"""Triton backend `image_decode`: encoded images to pixels."""
