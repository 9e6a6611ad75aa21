"""Attacks on a service of one's own: how long other callers wait, and what memory it takes."""
