"""The shipped autoscalers, without kustomize."""

import yaml

from k8s.checks.tree import Tree

NAMESPACE = "second-opinion"


def keda():
    return _objects("keda/scaled-object.yaml")


def hpa():
    objects = _objects("hpa/autoscaler.yaml")
    for item in objects:
        # As the overlay would.
        item["metadata"]["namespace"] = NAMESPACE
    return objects


def _objects(path):
    text = (Tree().k8s / "components" / path).read_text("utf-8")
    return list(yaml.safe_load_all(text))
