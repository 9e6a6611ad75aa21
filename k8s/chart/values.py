"""Which fields of the manifests are values of the chart, and which choices it has."""

from collections.abc import Callable, Mapping
from typing import Any

MODELS = {
    "existingClaim": "gpu",
    "image": "models-image",
    "claim": "models-claim",
    "store": "s3-models",
}
"""`models.from`, and the overlay that shows what it means."""
AUTOSCALING = {"none": "gpu", "keda": "keda", "hpa": "hpa"}
"""`autoscaling.by`, likewise."""
GENERATED = ("gateway-settings", "triton-settings", "models-store")
"""ConfigMaps whose names kustomize ends with a hash; the chart has a checksum in its place."""

FieldPath = tuple[str, ...]
"""Keys; of a list the `name` of an item, its index, or the item that begins with a text."""
_POD: FieldPath = ("spec", "template", "spec")
_GATEWAY: FieldPath = (*_POD, "containers", "gateway")
_TRITON: FieldPath = (*_POD, "containers", "triton")
_KEDA = ("spec", "triggers", "demand", "metadata")


def value(name: str) -> str:
    """The template expression of a value of any type."""
    return f"{{{{ .Values.{name} | toJson }}}}"


FIELDS: Mapping[str, Mapping[FieldPath, str]] = {
    "ConfigMap gateway-settings": {("data",): value("gateway.settings")},
    "ConfigMap models-store": {
        ("data", "MODELS_URL"): value("models.store.url"),
        ("data", "AWS_REGION"): value("models.store.region"),
    },
    "ServiceAccount triton": {
        ("metadata", "annotations"): value("models.store.serviceAccountAnnotations")
    },
    "PersistentVolumeClaim models": {
        ("spec", "storageClassName"): value("models.claim.storageClassName"),
        ("spec", "resources", "requests", "storage"): value("models.claim.storage"),
    },
    "Deployment gateway": {
        ("spec", "replicas"): value("gateway.replicas"),
        (*_POD, "initContainers", "schema", "image"): value("images.gateway"),
        (*_GATEWAY, "image"): value("images.gateway"),
        (*_GATEWAY, "resources"): value("gateway.resources"),
    },
    "Deployment triton": {
        ("spec", "strategy"): value("triton.strategy"),
        (*_POD, "initContainers", "fetch-models", "image"): value("images.fetch"),
        (*_POD, "volumes", "models", "image", "reference"): value("models.image"),
        (*_TRITON, "image"): value("images.server"),
        (*_TRITON, "resources"): value("triton.resources"),
        (*_TRITON, "volumeMounts", "models", "subPath"): value("models.claim.folder"),
        (*_TRITON, "args", "--pipelines="): '--pipelines={{ join "," .Values.triton.pipelines }}',
        (*_TRITON, "args", "--profile="): "--profile={{ .Values.triton.profile }}",
    },
    "ScaledObject triton": {
        ("spec", "minReplicaCount"): value("autoscaling.minReplicas"),
        ("spec", "maxReplicaCount"): value("autoscaling.maxReplicas"),
        ("spec", "fallback", "replicas"): value("autoscaling.minReplicas"),
        (*_KEDA, "threshold"): value("autoscaling.threshold"),
        (*_KEDA, "serverAddress"): value("autoscaling.prometheus"),
        ("spec", "triggers", "queue", "metadata", "serverAddress"): value("autoscaling.prometheus"),
    },
    "HorizontalPodAutoscaler triton": {
        ("spec", "minReplicas"): value("autoscaling.minReplicas"),
        ("spec", "maxReplicas"): value("autoscaling.maxReplicas"),
        ("spec", "metrics", "0", "external", "target", "averageValue"): value(
            "autoscaling.threshold"
        ),
    },
}
"""By object: the fields, where an overlay has them, and what stands there in a template."""

_POD_VALUES = """
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ . | toJson }}
{{- end }}
"""
_TRITON_POD = """
{{- with .Values.triton.tolerations }}
tolerations: {{ . | toJson }}
{{- end }}
{{- with .Values.triton.affinity }}
affinity: {{ . | toJson }}
{{- end }}
{{- with .Values.triton.nodeSelector }}
nodeSelector: {{ . | toJson }}
{{- end }}
{{- with .Values.triton.runtimeClassName }}
runtimeClassName: {{ . | toJson }}
{{- end }}
"""
_REPLICAS = """
{{- if eq .Values.autoscaling.by "none" }}
replicas: {{ .Values.triton.replicas }}
{{- end }}
"""
ADDED: Mapping[str, Mapping[FieldPath, str]] = {
    "Deployment gateway": {
        _POD: _POD_VALUES,
        (
            "spec",
            "template",
            "metadata",
        ): "annotations:\n  checksum/settings: {{ .Values.gateway.settings | toJson | sha256sum }}",
    },
    "Deployment triton": {
        ("spec",): _REPLICAS,
        _POD: _POD_VALUES + _TRITON_POD,
        (
            "spec",
            "template",
            "metadata",
        ): "annotations:\n  checksum/models: {{ .Values.models | toJson | sha256sum }}",
    },
}
"""By object and mapping: what a template has beside the fields of the overlays."""
REMOVED: Mapping[str, tuple[FieldPath, ...]] = {
    "Deployment triton": (("spec", "replicas"), (*_POD, "tolerations")),
}
"""Fields that `ADDED` has in their place."""
ONLY_IF: Mapping[str, str] = {"PriorityClass second-opinion": ".Values.priorityClass.create"}
"""Objects that a value leaves out."""


def reach(item: Any, path: FieldPath, change: Callable[[Any, Any], None]) -> None:  # noqa: ANN401 - YAML
    """Calls `change` with the mapping or list that holds a path's last step, and its key there.

    A path that an object does not have is passed over: another overlay has it.
    """
    for number, step in enumerate(path):
        key = _key(item, step)
        if key is None:
            return
        if number == len(path) - 1:
            change(item, key)
        else:
            item = item[key]


def _key(item: Any, step: str) -> Any:  # noqa: ANN401 - YAML
    if isinstance(item, dict):
        return step if step in item else None
    for number, each in enumerate(item):
        named = each.get("name") if isinstance(each, dict) else None
        begins = isinstance(each, str) and each.startswith(step)
        if step in {named, str(number)} or begins:
            return number
    return None
