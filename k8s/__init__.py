"""What runs in Kubernetes: manifests, the checks of them, and what monitors it there."""
