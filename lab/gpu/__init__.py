"""Measures members on a GPU against its limits, and the cost of decoding on the CPU."""
