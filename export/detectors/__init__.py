"""Detectors: each module rebuilds a network from its checkpoint and makes the served graph."""
