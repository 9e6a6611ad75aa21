"""Proves the life of a release on a running service: under load, under SIGKILL, and by its gate."""
