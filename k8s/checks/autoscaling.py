"""Checks that the autoscalers agree with each other, with the gateways' limits and the nodes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.settings import Settings
from k8s.checks.queries import adapter_rules
from k8s.checks.rendering import Object, Overlay, Rendered, name_of
from k8s.checks.tree import Tree
from k8s.checks.workloads import Workload, workload

_METRICS = {"demand": "second_opinion_demand", "queue": "second_opinion_queue_seconds"}
"""KEDA's triggers, and the same for a HorizontalPodAutoscaler."""
_FEWEST = 2
"""A drain, or a node that fails, leaves one."""


@dataclass(frozen=True)
class Metric:
    """What is compared with a target."""

    kind: str
    """`Value` or `AverageValue`."""
    target: float


@dataclass(frozen=True)
class Scaler:
    """A ScaledObject or a HorizontalPodAutoscaler, in the same words."""

    smallest: int
    largest: int
    behaviour: dict[str, Any]
    metrics: dict[str, Metric]
    """By the HorizontalPodAutoscaler's name for it."""


def problems(tree: Tree, rendered: Rendered) -> Iterator[str]:
    """What would keep replicas from following the demand."""
    by_kind: dict[str, Scaler] = {}
    for overlay in rendered.overlays:
        items = list(overlay.of_kind("ScaledObject", "HorizontalPodAutoscaler"))
        if len(items) > 1:
            names = ", ".join(map(name_of, items))
            yield f"{overlay.name}: {names} would fight over the replicas; keep one"
        for item in items:
            scaler = _scaler(item)
            by_kind[item["kind"]] = scaler
            found = (*_target(item, overlay), *_room(scaler, overlay), *_nodes(scaler, rendered))
            yield from (f"{overlay.name}: {name_of(item)}: {each}" for each in found)
            if item["kind"] == "ScaledObject":
                found = (*_triggers(tree, item), *_fallback(item))
                yield from (f"{overlay.name}: {name_of(item)}: {each}" for each in found)
        yield from (f"{overlay.name}: {each}" for each in _alone(overlay, items))
    yield from _alike(by_kind)
    offered = {rule.name for rule in adapter_rules(tree)}
    for name in sorted(_METRICS.values()):
        if name not in offered:
            yield f"{tree.adapter.name}: it has no rule for {name}"


def _scaler(item: Object) -> Scaler:
    spec = item["spec"]
    if item["kind"] == "HorizontalPodAutoscaler":
        metrics = {}
        for each in spec["metrics"]:
            target = each["external"]["target"]
            amount = target["averageValue" if target["type"] == "AverageValue" else "value"]
            metrics[each["external"]["metric"]["name"]] = Metric(target["type"], float(amount))
        return Scaler(spec["minReplicas"], spec["maxReplicas"], spec["behavior"], metrics)
    advanced = spec["advanced"]["horizontalPodAutoscalerConfig"]
    metrics = {
        _METRICS.get(trigger["name"], trigger["name"]): Metric(
            trigger["metricType"], float(trigger["metadata"]["threshold"])
        )
        for trigger in spec["triggers"]
    }
    least, most = spec["minReplicaCount"], spec["maxReplicaCount"]
    return Scaler(least, most, advanced["behavior"], metrics)


def _target(item: Object, overlay: Overlay) -> Iterator[str]:
    target = overlay.find("Deployment", item["spec"]["scaleTargetRef"]["name"])
    if target and "replicas" in target["spec"]:
        yield f"{name_of(target)} has `replicas`: each apply would undo the scaling; remove it"


def _alone(overlay: Overlay, scalers: list[Object]) -> Iterator[str]:
    """A Triton on a GPU that nothing stands in for, but for none at all while nobody asks."""
    triton = workload(overlay, "triton")
    deployment = overlay.find("Deployment", "triton")
    if triton is None or deployment is None or not _on_gpus(triton):
        return
    replicas = deployment["spec"].get("replicas", 1)
    least = min((_scaler(item).smallest for item in scalers), default=replicas)
    if 0 < least < _FEWEST:
        yield (
            "Deployment triton may be one pod: a drain, or its node, ends the service; have "
            f"{_FEWEST}"
        )


def _on_gpus(workload: Workload) -> bool:
    return any(
        name.startswith("nvidia.com/")
        for container in workload.containers
        for name in container["resources"]["limits"]
    )


def _fallback(item: Object) -> Iterator[str]:
    """A Prometheus that is away must not take replicas away."""
    fallback = item["spec"].get("fallback", {})
    if fallback.get("behavior") != "currentReplicasIfHigher":
        yield (
            "without a fallback of behavior currentReplicasIfHigher replicas would go, or stay too "
            "few, while Prometheus is away"
        )
    elif fallback["replicas"] < _FEWEST:
        yield f"its fallback leaves {fallback['replicas']} replica; have {_FEWEST}"


def _room(scaler: Scaler, overlay: Overlay) -> Iterator[str]:
    """What is shed is not in flight: the limits must lie beyond what all replicas take."""
    gateway, deployment = workload(overlay, "gateway"), overlay.find("Deployment", "gateway")
    if gateway is None or deployment is None:
        yield "there is no gateway whose requests could be counted"
        return
    gateways = deployment["spec"]["replicas"]
    settings = gateway.environment(overlay)
    cap = int(settings.get("GATEWAY_MAX_IN_FLIGHT", _default("max_in_flight")))
    demand = scaler.metrics["second_opinion_demand"]
    if demand.kind != "AverageValue":
        yield f"demand is compared as {demand.kind}; AverageValue makes it proportional to replicas"
    if cap * gateways <= demand.target * scaler.largest:
        yield (
            f"GATEWAY_MAX_IN_FLIGHT={cap} of {gateways} gateways is not more than {scaler.largest} "
            f"replicas x {demand.target:g}: the last replicas would never come; raise it"
        )
    calls = int(settings.get("GATEWAY_TRITON_CALLS", _default("triton_calls")))
    if calls * gateways < 2 * scaler.largest:
        yield (
            f"GATEWAY_TRITON_CALLS={calls} of {gateways} gateways leaves some of {scaler.largest} "
            "replicas without a second call to gather; raise it"
        )


def _default(setting: str) -> int:
    return int(Settings.model_fields[setting].default)


def _nodes(scaler: Scaler, rendered: Rendered) -> Iterator[str]:
    """Pools of nodes are made apart, for whatever scales in their cluster."""
    for overlay in rendered.overlays:
        for pool in overlay.of_kind("NodePool"):
            gpus = int(pool["spec"]["limits"]["nvidia.com/gpu"])
            placeholder = overlay.find("Deployment", "gpu-placeholder")
            wanted = scaler.largest + (placeholder["spec"]["replicas"] if placeholder else 0)
            if gpus < wanted:
                yield f"{name_of(pool)} has at most {gpus} GPUs for {wanted} pods; raise its limits"
            yield from _placeholder(placeholder, rendered)


def _placeholder(placeholder: Object | None, rendered: Rendered) -> Iterator[str]:
    """A replica can take its place, and finds its image there."""
    gpu = rendered.find("gpu")
    triton = gpu.find("Deployment", "triton") if gpu else None
    if placeholder is None or triton is None:
        return
    (held,), (needed,) = (
        each["spec"]["template"]["spec"]["containers"] for each in (placeholder, triton)
    )
    if held["image"] != needed["image"]:
        yield f"{name_of(placeholder)} holds {held['image']}; replicas need {needed['image']}"
    if held["resources"]["requests"] != needed["resources"]["requests"]:
        yield f"{name_of(placeholder)} requests something else than replicas do"


def _triggers(tree: Tree, item: Object) -> Iterator[str]:
    rules = {rule.name: rule for rule in adapter_rules(tree)}
    namespace = item["metadata"]["namespace"]
    for trigger in item["spec"]["triggers"]:
        name, metadata = trigger["name"], trigger["metadata"]
        if metadata.get("ignoreNullValues") != "false":
            yield (
                f'trigger {name}: without ignoreNullValues: "false" a Prometheus that knows '
                "nothing looks like a service that nobody asks"
            )
        if f'namespace="{namespace}"' not in metadata["query"]:
            yield f"trigger {name}: its query does not ask for namespace {namespace}"
        rule = rules.get(_METRICS.get(name, ""))
        if rule and rule.in_namespace(namespace).split() != metadata["query"].split():
            yield f"trigger {name}: its query is another one than {tree.adapter.name} has"


def _alike(by_kind: dict[str, Scaler]) -> Iterator[str]:
    """One can take the other's place without a change in behaviour."""
    keda, plain = by_kind.get("ScaledObject"), by_kind.get("HorizontalPodAutoscaler")
    if keda is None or plain is None:
        yield "there is no overlay with a ScaledObject, or none with a HorizontalPodAutoscaler"
        return
    if keda.smallest != plain.smallest:
        yield "components/keda and components/hpa differ in their smallest size"
    if keda.largest != plain.largest or keda.behaviour != plain.behaviour:
        yield "components/keda and components/hpa differ in their largest size or their behaviour"
    for name in sorted(_METRICS.values()):
        if keda.metrics.get(name) != plain.metrics.get(name):
            yield (
                f"{name}: components/keda says {keda.metrics.get(name)}, "
                f"components/hpa {plain.metrics.get(name)}"
            )
