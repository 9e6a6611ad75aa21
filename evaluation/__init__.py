"""Evaluates a running service against labelled photos."""
