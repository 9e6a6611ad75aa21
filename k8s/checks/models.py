"""Checks how models reach the pods: by names in the pod template, unchanging, with room."""

from collections.abc import Iterator
from typing import Any

from k8s.checks.rendering import Overlay, Rendered, name_of
from k8s.checks.workloads import Workload, workload, workloads

_DIGEST = "@sha256:"
_SMALL_GIB = 2
"""What a node is expected to have left for a volume of a pod that asks for nothing."""
_SHARED = {"ReadWriteMany"}


def problems(rendered: Rendered) -> Iterator[str]:
    """Models that a roll-back would not bring back, and volumes that nothing could fill."""
    for overlay in rendered.overlays:
        for each in workloads(overlay):
            for problem in (*_images(each), *_room(each)):
                yield f"{overlay.name}: {each.name}: {problem}"
        for item in overlay.of_kind("PersistentVolumeClaim"):
            spec = item["spec"]
            if "volumeName" not in spec and not _SHARED & set(spec["accessModes"]):
                yield (
                    f"{overlay.name}: {name_of(item)}: a provisioner makes it empty, and nothing "
                    "may write to it from another node; ask for ReadWriteMany, or name a volume"
                )
    yield from _folder(rendered)


def _images(workload: Workload) -> Iterator[str]:
    for volume in workload.pod.get("volumes", []):
        reference = volume.get("image", {}).get("reference", _DIGEST)
        if _DIGEST not in reference:
            yield f"volume {volume['name']}: {reference} may become another one; name its digest"


def _room(workload: Workload) -> Iterator[str]:
    """Volumes on the node's disk that are larger than what the pod asks for."""
    asked = max((_asked(each) for each in workload.containers), default=0)
    for volume in workload.pod.get("volumes", []):
        space = volume.get("emptyDir", {})
        size = _gib(space.get("sizeLimit", "0Gi"))
        if space.get("medium") != "Memory" and size > max(_SMALL_GIB, asked):
            yield (
                f"volume {volume['name']} may take {size:g} Gi of the node's disk, and no container"
                " requests them as ephemeral-storage: the node may evict the pod while it fills it"
            )


def _asked(container: dict[str, Any]) -> float:
    requests = container.get("resources", {}).get("requests", {})
    return _gib(requests.get("ephemeral-storage", "0Gi"))


def _gib(amount: str) -> float:
    return float(amount[:-2]) / {"Gi": 1, "Mi": 1024}[amount[-2:]]


def _folder(rendered: Rendered) -> Iterator[str]:
    """What is served from the claim is what the loader puts there."""
    served, loaded = rendered.find("models-claim"), rendered.find("models-loader")
    if served is None or loaded is None:
        return
    folders, release = set(_folders(served)), _release(loaded)
    if folders != {release}:
        serves = ", ".join(sorted(folders)) or "the whole claim"
        yield (
            f"models-claim: it serves {serves}, and models-loader fills {release}; name the same "
            "release"
        )


def _folders(overlay: Overlay) -> Iterator[str]:
    triton = workload(overlay, "triton")
    for container in triton.containers if triton else []:
        for mount in container.get("volumeMounts", []):
            if mount["name"] == "models" and "subPath" in mount:
                yield mount["subPath"]


def _release(overlay: Overlay) -> str:
    settings = (each.environment(overlay) for each in workloads(overlay))
    return next(found["MODELS_RELEASE"] for found in settings if "MODELS_RELEASE" in found)
