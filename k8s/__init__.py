"""The Kubernetes deployment: manifests, their checks, and monitoring."""
