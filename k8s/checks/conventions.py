"""Checks rules that no schema has: an API server's restrictions, and this project's conventions."""

from collections.abc import Iterator
from typing import Any

from k8s.checks.rendering import Object, Rendered, name_of
from k8s.checks.workloads import Workload, workloads

_OURS = "second-opinion-"
"""Images that a site builds, and names with its registry under `images:`."""
_CLUSTER_WIDE = {"Namespace", "NodePool", "PersistentVolume", "PriorityClass"}


def problems(rendered: Rendered) -> Iterator[str]:
    """Ports without a protocol, bare numbers as quantities, images of no registry."""
    for overlay in rendered.overlays:
        for item in overlay.objects:
            found = (*_ports(item.get("spec")), *_quantities(item), *_place(item))
            yield from (f"{overlay.name}: {name_of(item)}: {each}" for each in found)
        for workload in workloads(overlay):
            for image in _unqualified(workload):
                yield (
                    f"{overlay.name}: {workload.name}: image {image} names no registry, and some "
                    "nodes guess none; write docker.io/..."
                )


def _place(item: Object) -> Iterator[str]:
    if item["kind"] in _CLUSTER_WIDE and "namespace" in item["metadata"]:
        yield "it belongs to no namespace; render it apart from what `namespace:` is put on"


def _ports(part: object, where: str = "spec") -> Iterator[str]:
    """Each list `ports`, wherever it is in an object, but an Ingress's own."""
    if isinstance(part, list):
        for number, each in enumerate(part):
            yield from _ports(each, f"{where}[{number}]")
    if isinstance(part, dict):
        for key, each in part.items():
            if key == "ports" and isinstance(each, list):
                yield from (
                    f"{where}.ports: {port} has no protocol; write `protocol: TCP`"
                    for port in each
                    if isinstance(port, dict) and "protocol" not in port
                )
            yield from _ports(each, f"{where}.{key}")


def _quantities(item: Object) -> Iterator[str]:
    for resources in _resources(item):
        for kind in ("requests", "limits"):
            for name, amount in resources.get(kind, {}).items():
                if not isinstance(amount, str):
                    yield f'resources.{kind}.{name}: {amount} is no string; write "{amount}"'


def _resources(part: object) -> Iterator[dict[str, Any]]:
    if isinstance(part, list):
        for each in part:
            yield from _resources(each)
    if isinstance(part, dict):
        for key, each in part.items():
            if key == "resources" and isinstance(each, dict):
                yield each
            yield from _resources(each)


def _unqualified(workload: Workload) -> Iterator[str]:
    for container in workload.containers:
        image: str = container["image"]
        if not (image.startswith(_OURS) or "." in image.partition("/")[0]):
            yield image
