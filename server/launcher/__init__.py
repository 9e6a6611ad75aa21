"""The order of a start and of a stop, and what is watched in between."""
