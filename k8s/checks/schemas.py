"""Validates manifests strictly: unknown fields, kinds and API versions are errors."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import kubernetes_validate
from jsonschema import Draft7Validator
from kubernetes_validate import utils

from k8s.checks.rendering import Object, Rendered, name_of

VERSIONS = ("1.31", "1.34", "1.37")
"""Of Kubernetes: the oldest that has all that the manifests use, one between, and the newest."""
_CUSTOM = Path(__file__).parent / "crds"
_API_VERSIONS = {
    "AnalysisTemplate": "argoproj.io/v1alpha1",
    "Application": "argoproj.io/v1alpha1",
    "BackendTLSPolicy": "gateway.networking.k8s.io/v1",
    "Cluster": "postgresql.cnpg.io/v1",
    "Gateway": "gateway.networking.k8s.io/v1",
    "GRPCRoute": "gateway.networking.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "InferenceService": "serving.kserve.io/v1beta1",
    "NodePool": "karpenter.sh/v1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "Rollout": "argoproj.io/v1alpha1",
    "ScaledObject": "keda.sh/v1alpha1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "ServingRuntime": "serving.kserve.io/v1alpha1",
}
"""Kinds that an operator brings along; no other unknown kind passes."""
_SINCE = {"resource.k8s.io/v1": "1.34"}
"""API versions that only newer Kubernetes has; overlays that need one say so."""

# It would read megabytes of schemas again for each object.
utils.schema_contents = cache(utils.schema_contents)


def problems(rendered: Rendered) -> Iterator[str]:
    """What the API server of some version would refuse, or silently drop."""
    seen = set()
    for overlay in rendered.overlays:
        for item in overlay.objects:
            # Most objects are the same in most overlays.
            text = json.dumps(item, sort_keys=True, default=str)
            if text not in seen:
                seen.add(text)
                yield from (f"{overlay.name}: {name_of(item)}: {each}" for each in _of(text))


@cache
def _of(text: str) -> list[str]:
    """What is wrong with an object: each is validated once, however many trees have it."""
    return list(_errors(json.loads(text)))


def _errors(item: Object) -> Iterator[str]:
    if item["apiVersion"] == _API_VERSIONS.get(item["kind"]):
        for error in _custom(item["kind"]).iter_errors(item):
            yield f"{error.json_path}: {error.message}"
        if item["kind"] != "ServingRuntime":
            return
        # Its containers and volumes are a pod's.
        pod = {key: item["spec"].get(key, []) for key in ("containers", "volumes")}
        item = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": pod}
    for version in VERSIONS:
        if version < _SINCE.get(item["apiVersion"], ""):
            continue
        try:
            kubernetes_validate.validate(item, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"Kubernetes {version}: {error.message} at {'.'.join(map(str, error.path))}"
        except kubernetes_validate.SchemaNotFoundError:
            yield (
                f"Kubernetes {version} has no {item['kind']} in {item['apiVersion']}; for an "
                f"operator's own kind put its schema into {_CUSTOM.name}/"
            )


@cache
def _custom(kind: str) -> Draft7Validator:
    return Draft7Validator(json.loads((_CUSTOM / f"{kind}.json").read_text("utf-8")))
