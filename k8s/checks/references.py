"""Checks that references between objects are valid: names, selectors, ports."""

from collections.abc import Iterator
from typing import Any

from k8s.checks.exceptions import Exceptions, unused
from k8s.checks.rendering import Object, Overlay, Rendered, name_of
from k8s.checks.workloads import Workload, workloads

_BESIDE = {
    "canary-run": "gpu",
    "loadtest": "gpu",
    "models-loader": "models-claim",
    "monitoring": "gpu",
    "split-steps": "split",
}
"""Overlays that are applied beside another one, whose objects they name."""
_BUILT_IN = {"system-cluster-critical", "system-node-critical"}


def problems(rendered: Rendered, exceptions: Exceptions) -> Iterator[str]:
    """Names that nothing has, selectors that take nothing, ports that nobody listens on."""
    used: set[str] = set()
    for overlay in rendered.overlays:
        beside = rendered.find(_BESIDE.get(overlay.name, ""))
        around = beside.objects if beside else []
        whole = Overlay(overlay.name, [*overlay.objects, *around], overlay.text)
        pods = [*workloads(whole), *_instances(whole)]
        for item in overlay.objects:
            for problem in _of(item, whole, pods):
                yield f"{overlay.name}: {name_of(item)}: {problem}"
        for each in workloads(overlay):
            for problem in _of_pods(each, whole, exceptions, used):
                yield f"{overlay.name}: {each.name}: {problem}"
        for problem in (*_ingresses(whole), *_certificates(whole, exceptions, used)):
            yield f"{overlay.name}: {problem}"
    yield from unused(exceptions.site_provides, used, "site_provides")


def _instances(overlay: Overlay) -> Iterator[Workload]:
    """The pods that CloudNativePG makes, with its labels and ports."""
    for cluster in overlay.of_kind("Cluster"):
        ports = [{"containerPort": 5432}, {"containerPort": 8000}]
        labels = {"cnpg.io/cluster": cluster["metadata"]["name"]}
        yield Workload(name_of(cluster), labels, {"containers": [{"ports": ports}]})


def _written(overlay: Overlay) -> set[str]:
    """The Secrets that CloudNativePG writes: how its cluster's owner reaches it."""
    return {f"Secret {each['metadata']['name']}-app" for each in overlay.of_kind("Cluster")}


def _of(item: Object, overlay: Overlay, pods: list[Workload]) -> Iterator[str]:
    spec = item.get("spec", {})
    match item["kind"]:
        case "Service":
            chosen = [pod for pod in pods if pod.selected_by(spec["selector"])]
            for port in spec["ports"]:
                yield from _reaches(port["targetPort"], chosen, spec["selector"])
        case "PodDisruptionBudget":
            yield from _selects(spec["selector"]["matchLabels"], pods)
        case "NetworkPolicy":
            yield from _policy(spec, pods)
        case "PodMonitor":
            labels = spec["selector"]["matchLabels"]
            choices = spec["selector"].get("matchExpressions", [])
            chosen = [pod for pod in pods if pod.selected_by(labels) and _one_of(pod, choices)]
            for endpoint in spec["podMetricsEndpoints"]:
                yield from _reaches(endpoint["port"], chosen, labels)
        case "ScaledObject" | "HorizontalPodAutoscaler":
            name = spec["scaleTargetRef"]["name"]
            if not overlay.find("Deployment", name):
                yield f"it scales the Deployment {name}, which is not there"
        case _:
            return


def _one_of(pod: Workload, choices: list[dict[str, Any]]) -> bool:
    """Whether a pod has, of each label, one of the values that a selector lists."""
    return all(
        any(pod.selected_by({each["key"]: value}) for value in each["values"]) for each in choices
    )


def _selects(labels: dict[str, str], pods: list[Workload]) -> Iterator[str]:
    if not any(pod.selected_by(labels) for pod in pods):
        yield f"its selector {labels} takes no pod"


def _reaches(port: str | int, pods: list[Workload], labels: dict[str, str]) -> Iterator[str]:
    if not pods:
        yield f"its selector {labels} takes no pod"
    for pod in pods:
        if port not in {*pod.ports, *pod.ports.values()}:
            yield f"port {port}: {pod.name} has only {pod.ports}"


def _policy(spec: dict[str, Any], pods: list[Workload]) -> Iterator[str]:
    own = spec["podSelector"].get("matchLabels", {})
    yield from _selects(own, pods)
    targets = [pod for pod in pods if pod.selected_by(own)]
    for rule in spec.get("ingress", []):
        for port in rule.get("ports", []):
            yield from _listened(port["port"], targets)
        yield from _peers(rule.get("from", []), pods)
    for rule in spec.get("egress", []):
        yield from _peers(rule.get("to", []), pods)
        for peer in rule.get("to", []):
            if "ipBlock" in peer or "namespaceSelector" in peer:
                continue
            labels = peer.get("podSelector", {}).get("matchLabels", {})
            reached = [pod for pod in pods if pod.selected_by(labels)]
            for port in rule.get("ports", []):
                yield from _listened(port["port"], reached)


def _listened(port: int, pods: list[Workload]) -> Iterator[str]:
    if not any(port in pod.ports.values() for pod in pods):
        yield f"port {port}: none of {[pod.name for pod in pods]} listens there"


def _peers(peers: list[dict[str, Any]], pods: list[Workload]) -> Iterator[str]:
    for peer in peers:
        labels = peer.get("podSelector", {}).get("matchLabels", {})
        # Pods of other namespaces are not known here.
        if labels and "namespaceSelector" not in peer:
            yield from _selects(labels, pods)


def _of_pods(
    workload: Workload, overlay: Overlay, exceptions: Exceptions, used: set[str]
) -> Iterator[str]:
    pod = workload.pod
    for wanted in _wanted(workload):
        kind, name = wanted.split(" ", 1)
        if overlay.find(kind, name) or wanted in _written(overlay):
            continue
        if wanted in exceptions.site_provides:
            used.add(wanted)
        else:
            yield (
                f"{wanted} is not there; add it, or say under site_provides why the site brings it"
            )
    priority = pod.get("priorityClassName", "system-node-critical")
    if priority not in _BUILT_IN and not overlay.find("PriorityClass", priority):
        yield f"PriorityClass {priority} is not there"
    for container in workload.containers:
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            port = container.get(kind, {}).get("httpGet", {}).get("port")
            if port is not None and port not in {*workload.ports, *workload.ports.values()}:
                yield f"{kind}: port {port}: there is only {workload.ports}"


def _wanted(workload: Workload) -> Iterator[str]:
    """Objects that its pods cannot start without."""
    pod = workload.pod
    if account := pod.get("serviceAccountName"):
        yield f"ServiceAccount {account}"
    if runtime := pod.get("runtimeClassName"):
        yield f"RuntimeClass {runtime}"
    for secret in pod.get("imagePullSecrets", []):
        yield f"Secret {secret['name']}"
    for volume in pod.get("volumes", []):
        if claim := volume.get("persistentVolumeClaim"):
            yield f"PersistentVolumeClaim {claim['claimName']}"
        if secret := volume.get("secret"):
            yield f"Secret {secret['secretName']}"
        if settings := volume.get("configMap"):
            yield f"ConfigMap {settings['name']}"
    for container in workload.containers:
        sources = [
            *container.get("envFrom", []),
            *(each.get("valueFrom", {}) for each in container.get("env", [])),
        ]
        for source in sources:
            for key, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
                for form in ("Ref", "KeyRef"):
                    if reference := source.get(key + form):
                        yield f"{kind} {reference['name']}"


def _certificates(overlay: Overlay, exceptions: Exceptions, used: set[str]) -> Iterator[str]:
    """What the way in needs: certificates, and the authority of those behind it."""
    for item in overlay.of_kind("Ingress", "Gateway", "BackendTLSPolicy"):
        spec = item["spec"]
        for wanted in (
            *(f"Secret {tls['secretName']}" for tls in spec.get("tls", [])),
            *(
                f"Secret {each['name']}"
                for listener in spec.get("listeners", [])
                for each in listener["tls"]["certificateRefs"]
            ),
            *(
                f"{each['kind']} {each['name']}"
                for each in spec.get("validation", {}).get("caCertificateRefs", [])
            ),
        ):
            kind, name = wanted.split(" ", 1)
            if wanted in exceptions.site_provides:
                used.add(wanted)
            elif not overlay.find(kind, name):
                yield f"{name_of(item)}: {wanted} is not there"


def _ingresses(overlay: Overlay) -> Iterator[str]:
    for item in overlay.of_kind("Ingress"):
        hosts = {host for tls in item["spec"]["tls"] for host in tls["hosts"]}
        for rule in item["spec"]["rules"]:
            if rule["host"] not in hosts:
                yield f"{name_of(item)}: {rule['host']} is not among the hosts of its `tls`"
            for path in rule["http"]["paths"]:
                asked = path["backend"]["service"]
                service = overlay.find("Service", asked["name"])
                ports = service["spec"]["ports"] if service else []
                if asked["port"]["name"] not in {port["name"] for port in ports}:
                    yield f"{name_of(item)}: {asked} is no Service with such a port"
