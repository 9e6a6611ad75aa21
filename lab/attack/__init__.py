"""Attacks on a service of one's own: what bystanders, memory and processes bear meanwhile."""
