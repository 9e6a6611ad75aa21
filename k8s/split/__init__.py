"""What gives a candidate more and more of the callers in a cluster, for overlays/split-steps."""
