"""Detectors: each rebuilds its network from a checkpoint and writes the graph that is served."""
