"""Tests that start all they need and mostly wait: `make test` runs them beside the others."""
