"""The pods that controllers (Deployments and others) would create."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from k8s.checks.rendering import Overlay, name_of

_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")


@dataclass(frozen=True)
class Workload:
    """A pod template; `name` is for messages: `Deployment triton`."""

    name: str
    labels: dict[str, str]
    pod: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Those that start it and those that run in it."""
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """The containers' ports by name."""
        return {
            port.get("name", str(port["containerPort"])): port["containerPort"]
            for container in self.containers
            for port in container.get("ports", [])
        }

    def selected_by(self, labels: dict[str, str]) -> bool:
        """Whether a selector with these labels takes its pods."""
        return labels.items() <= self.labels.items()

    def environment(self, overlay: Overlay) -> dict[str, str]:
        """The containers' settings that are written in plain, ConfigMaps' among them."""
        found: dict[str, str] = {}
        for container in self.containers:
            for source in container.get("envFrom", []):
                name = source.get("configMapRef", {}).get("name", "")
                found |= (overlay.find("ConfigMap", name) or {}).get("data", {})
            found |= {each["name"]: each.get("value", "") for each in container.get("env", [])}
        return found


def workloads(overlay: Overlay) -> Iterator[Workload]:
    """All that make pods."""
    for item in overlay.of_kind(*_KINDS):
        spec = item["spec"]
        template = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]
        labels = template["metadata"].get("labels", {})
        yield Workload(name_of(item), labels, template["spec"])


def workload(overlay: Overlay, name: str) -> Workload | None:
    """The Deployment of a name; None where the overlay has none."""
    return next((each for each in workloads(overlay) if each.name == f"Deployment {name}"), None)
