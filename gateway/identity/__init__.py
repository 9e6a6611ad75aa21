"""Identifies callers by their API keys."""
