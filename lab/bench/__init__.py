"""Benchmark: the limit of the machine, Triton, the gateway and other model servers compared."""
