"""Locust users that load a running service, and the budgets that it must hold."""
