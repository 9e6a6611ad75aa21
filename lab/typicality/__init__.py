"""Measures how well typicality tells images of other kinds from a pipeline's own."""
