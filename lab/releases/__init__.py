"""Simulations of what judges releases: how often the gate and the drift alarms err."""
