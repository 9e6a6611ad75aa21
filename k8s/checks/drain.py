"""Checks that a pod has time to finish its requests before it is killed."""

from collections.abc import Iterator

from gateway.settings import Settings
from k8s.checks.rendering import Rendered
from k8s.checks.workloads import Workload, workload
from server.launcher.service import DRAIN_SECONDS as LAUNCHER_DRAIN_SECONDS
from server.triton.process import EXIT_TIMEOUT_SECONDS

_AFTER_DRAIN_SECONDS = 5
"""What the gateway still leaves to calls to Triton (gateway/triton/client.py)."""
_FAREWELL_SECONDS = 3 + 5
"""How long the launcher waits past tritonserver's own timeout, and for what is left of it."""


def problems(rendered: Rendered) -> Iterator[str]:
    """Grace periods that are too short for preStop and the program's own end."""
    for overlay in rendered.overlays:
        gateway, triton = workload(overlay, "gateway"), workload(overlay, "triton")
        if gateway is None or triton is None:
            continue
        settings = gateway.environment(overlay)
        shutdown = float(settings.get("GATEWAY_SHUTDOWN_SECONDS", _default("shutdown_seconds")))
        deadline = float(settings.get("GATEWAY_DEADLINE_SECONDS", _default("deadline_seconds")))
        if shutdown <= deadline:
            yield (
                f"{overlay.name}: GATEWAY_SHUTDOWN_SECONDS={shutdown:g} ends requests that "
                f"GATEWAY_DEADLINE_SECONDS={deadline:g} still allows; raise it above that"
            )
        for each, seconds in (
            (gateway, shutdown + _AFTER_DRAIN_SECONDS),
            (triton, LAUNCHER_DRAIN_SECONDS + EXIT_TIMEOUT_SECONDS + _FAREWELL_SECONDS),
        ):
            for problem in _short(each, seconds):
                yield f"{overlay.name}: {each.name}: {problem}"


def _default(setting: str) -> float:
    return float(Settings.model_fields[setting].default)


def _short(workload: Workload, end_seconds: float) -> Iterator[str]:
    grace = workload.pod.get("terminationGracePeriodSeconds", 30)
    pauses = [
        container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        for container in workload.pod["containers"]
    ]
    if not min(pauses):
        yield "it has no preStop sleep: it would stop while callers are still sent to it"
    if grace <= max(pauses) + end_seconds:
        yield (
            f"terminationGracePeriodSeconds {grace} is not more than preStop {max(pauses)} s and "
            f"{end_seconds:g} s for its end; raise it"
        )
