"""Simulation of autoscaling: the shipped rules, real processes, no cluster."""
