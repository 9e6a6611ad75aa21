"""Load generation: closed and open loops over HTTP and gRPC, and what a service takes meanwhile."""
