"""Makes many pipelines for one service to load, and measures the size of its metrics."""

from collections.abc import Callable
from pathlib import Path

import httpx

from lab.scale import random_weights
from lab.scale.raw import Served
from lab.service.scratch import Scratch
from lab.service.service import GATEWAY, LAUNCHER, TRITON, Service
from pipelines import protocol
from pipelines.load import load_spec
from pipelines.manifest import Manifest

_METRICS = {
    GATEWAY: "gateway_port",
    TRITON: "triton_metrics_port",
    LAUNCHER: "server_metrics_port",
}


def take(name: str, place: Scratch, repository: Path, on_step: Callable[[str], None]) -> Served:
    """Puts a pipeline into a scratch repository: its artefacts, or such with random weights.

    Raises:
        ExportError: those cannot be made.
    """
    if real := random_weights.has_weights(name, repository):
        place.facts(name, lambda _: None)
        place.artefacts(name, repository)
        place.configs(name)
    else:
        random_weights.make(name, place, on_step)
    spec = load_spec(name, place.specs)
    newest = [
        _newest(place.repository / protocol.member_model(name, member)) for member in spec.members
    ]
    return Served(
        name=name,
        weights=Manifest.read(newest[0]).weights if real else "random",
        artefact_bytes=sum(file.stat().st_size for each in newest for file in each.iterdir()),
        members=tuple(spec.members),
    )


def series(service: Service) -> dict[str, int]:
    """Prometheus series of each process that has metrics, by its role."""
    found = {}
    for role, port in _METRICS.items():
        url = f"http://127.0.0.1:{getattr(service.ports, port)}/metrics"
        text = httpx.get(url, timeout=10, trust_env=False).text
        found[role] = sum(bool(line) and not line.startswith("#") for line in text.splitlines())
    return found


def _newest(model: Path) -> Path:
    return max(model.glob("[0-9]*"), key=lambda version: int(version.name))
