"""Monitoring: Prometheus rules, a Grafana dashboard, and their checks."""
