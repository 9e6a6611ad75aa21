"""The Helm chart; `python -m k8s.chart` writes its templates from the kustomize overlays."""
