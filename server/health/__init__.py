"""Monitors whether pipelines answer, and serves the launcher's status page."""
