"""The launcher: checks the machine, starts Triton and the gateway, and supervises them."""
