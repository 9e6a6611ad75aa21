"""Starts the service for a test, a bench, a load test or a simulation, and stops it."""
