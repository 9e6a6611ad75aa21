"""Builds the container images on one machine, and tests the gateway's."""
