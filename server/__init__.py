"""Runs Triton: its backends, the launcher, and the supervisor that heals it."""
