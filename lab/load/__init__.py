"""Load generators: closed and open loops over HTTP and gRPC, and the service's resource use."""
