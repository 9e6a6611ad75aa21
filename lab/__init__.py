"""Measurements and simulations of the service. Nothing of the product imports it."""
