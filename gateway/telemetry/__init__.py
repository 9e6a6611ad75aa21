"""Metrics, log lines, and the context of one request."""
