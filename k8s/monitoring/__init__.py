"""What Prometheus and Grafana are told of the service, and how it is checked."""
