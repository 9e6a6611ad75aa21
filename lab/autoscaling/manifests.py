"""The autoscalers that the overlays ship, read from what kustomize renders."""

from collections.abc import Iterator
from typing import Any

import yaml

from k8s.checks import executables
from k8s.checks.errors import ChecksError
from k8s.checks.queries import adapter_rules
from k8s.checks.tree import Tree
from lab.autoscaling.autoscaler import Scaling
from lab.autoscaling.behaviour import Behaviour
from lab.autoscaling.metric import Metric, thousandths
from lab.errors import LabError

KEDA, HPA = "keda", "hpa"
Object = dict[str, Any]


def render(overlay: str, tree: Tree | None = None) -> list[Object]:
    """The objects of an overlay.

    Raises:
        LabError: there is no kustomize, or it refuses.
    """
    folder = (tree or Tree()).k8s / "overlays" / overlay
    try:
        ended = executables.run([*executables.kustomize(), str(folder)])
    except ChecksError as error:
        raise LabError(str(error)) from None
    if ended.returncode:
        raise LabError(f"{folder}: it does not render: {ended.stderr.strip()}")
    return [item for item in yaml.safe_load_all(ended.stdout) if item]


def keda(objects: list[Object]) -> Scaling:
    """What KEDA makes a HorizontalPodAutoscaler of.

    Raises:
        LabError: there is not one ScaledObject, or one that is read differently here.
    """
    spec = _one(objects, "ScaledObject")["spec"]
    advanced = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {})
    return Scaling(
        name=KEDA,
        # 0 is another matter: KEDA itself, not the autoscaler, takes the last replica away.
        minimum=max(1, spec.get("minReplicaCount", 0)),
        maximum=spec["maxReplicaCount"],
        metrics=tuple(_triggers(spec["triggers"])),
        behaviour=Behaviour.read(advanced.get("behavior", {})),
    )


def hpa(objects: list[Object], tree: Tree | None = None) -> Scaling:
    """A HorizontalPodAutoscaler, with the queries of the Prometheus adapter's rules.

    Raises:
        LabError: there is not one, or a metric of it has no rule.
    """
    item = _one(objects, "HorizontalPodAutoscaler")
    spec, namespace = item["spec"], item["metadata"]["namespace"]
    queries = {rule.name: rule.in_namespace(namespace) for rule in adapter_rules(tree or Tree())}
    metrics = []
    for each in spec["metrics"]:
        if each["type"] != "External":
            raise LabError(f"hpa: a metric of type {each['type']}: only External is known")
        external = each["external"]
        name, target = external["metric"]["name"], external["target"]
        if name not in queries:
            raise LabError(f"hpa: {name}: prometheus-adapter.yaml has no rule of that name")
        key = {"AverageValue": "averageValue", "Value": "value"}[target["type"]]
        metrics.append(Metric(name, queries[name], target["type"], thousandths(target[key])))
    return Scaling(
        name=HPA,
        minimum=spec.get("minReplicas", 1),
        maximum=spec["maxReplicas"],
        metrics=tuple(metrics),
        behaviour=Behaviour.read(spec.get("behavior", {})),
    )


def gateway_settings(objects: list[Object]) -> dict[str, str]:
    """The environment that the overlay gives its gateways.

    Raises:
        LabError: there is no ConfigMap of them.
    """
    for item in objects:
        if item["kind"] == "ConfigMap" and item["metadata"]["name"].startswith("gateway-settings"):
            settings: dict[str, str] = item["data"]
            return settings
    raise LabError("the overlay has no ConfigMap gateway-settings: name it so in k8s/base")


def _triggers(triggers: list[Object]) -> Iterator[Metric]:
    for trigger in triggers:
        facts = trigger["metadata"]
        if trigger["type"] != "prometheus":
            raise LabError(f"keda: a trigger {trigger['type']}: only prometheus is known")
        if facts.get("ignoreNullValues") != "false":
            raise LabError(
                f'keda: trigger {trigger["name"]}: set ignoreNullValues: "false"; else KEDA takes '
                "an empty answer for 0, and scales down where nothing is known"
            )
        kind = trigger.get("metricType", "AverageValue")
        yield Metric(trigger["name"], facts["query"], kind, thousandths(facts["threshold"]))


def _one(objects: list[Object], kind: str) -> Object:
    found = [item for item in objects if item["kind"] == kind]
    if len(found) != 1:
        raise LabError(f"the overlay has {len(found)} {kind}, not one: only one may scale")
    return found[0]
