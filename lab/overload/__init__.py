"""Overload test: three times the service's capacity arrives."""
