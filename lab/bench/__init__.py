"""Side by side: the raw limit, Triton, the gateway and other model servers, on one machine."""
