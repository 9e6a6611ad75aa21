"""Checks canaries by the gateway's own split: what Triton reads of it, and what judges it."""

import json
from collections.abc import Iterator
from typing import Any

from k8s.checks.canary import limits
from k8s.checks.rendering import Overlay, Rendered
from k8s.checks.workloads import Workload, workload

_REPOSITORY = "GATEWAY_MODEL_REPOSITORY"
_JUDGEMENTS = "judgements.json"
_SHARED = "ReadWriteMany"


def problems(rendered: Rendered) -> Iterator[str]:
    """Changes of releases that Triton would not see, and steps with another judge."""
    for overlay in rendered.overlays:
        yield from (f"{overlay.name}: {each}" for each in _written(overlay))
    yield from _judged(rendered)


def _written(overlay: Overlay) -> Iterator[str]:
    gateway, triton = workload(overlay, "gateway"), workload(overlay, "triton")
    if gateway is None or triton is None:
        return
    folder = gateway.environment(overlay).get(_REPOSITORY)
    if folder is None:
        return
    writes, reads = _mounted(gateway, folder), _mounted(triton, "/models")
    if writes is None or writes["readOnly"]:
        yield f"gateway: {_REPOSITORY} is {folder}, and nothing that it may write is mounted there"
        return
    if reads is None or "persistentVolumeClaim" not in reads["volume"]:
        yield (
            "triton: its models are a copy of its own or an image, so that what gateways write of "
            "the releases never comes there; split callers on a claim alone"
        )
        return
    if (writes["volume"], writes["subPath"]) != (reads["volume"], reads["subPath"]):
        yield "gateway and triton mount different models; name one claim and one folder of it"
    name = reads["volume"]["persistentVolumeClaim"]["claimName"]
    claim = overlay.find("PersistentVolumeClaim", name)
    if claim is None or _SHARED not in claim["spec"]["accessModes"]:
        yield f"claim {name}: gateways on other nodes write to it; ask for {_SHARED}"


def _mounted(pods: Workload, folder: str) -> dict[str, Any] | None:
    volumes = {each["name"]: each for each in pods.pod.get("volumes", [])}
    for container in pods.pod["containers"]:
        for mount in container.get("volumeMounts", []):
            if mount["mountPath"] == folder:
                volume = dict(volumes[mount["name"]])
                del volume["name"]
                read_only = mount.get("readOnly", False)
                volume.get("persistentVolumeClaim", {}).pop("readOnly", None)
                return {
                    "volume": volume,
                    "subPath": mount.get("subPath"),
                    "readOnly": read_only,
                }
    return None


def _judged(rendered: Rendered) -> Iterator[str]:
    """A candidate passes by the same figures whichever way it comes."""
    by_pods, by_split = rendered.find("canary"), rendered.find("split-steps")
    if by_pods is None or by_split is None:
        return
    wanted = [each for item in by_pods.of_kind("AnalysisTemplate") for each in limits(item)]
    found = [
        (each["name"], each["query"], each["below"])
        for item in by_split.of_kind("ConfigMap")
        if _JUDGEMENTS in item["data"]
        for each in json.loads(item["data"][_JUDGEMENTS])
    ]
    if not found:
        yield f"split-steps: it has no {_JUDGEMENTS}: nothing would stop it"
    for name in sorted({each[0] for each in {*wanted} ^ {*found}}):
        yield f"split-steps: {name} is judged by another figure or limit than in overlays/canary"
