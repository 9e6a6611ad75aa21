"""Trace of single requests: which part of the way takes how long."""
