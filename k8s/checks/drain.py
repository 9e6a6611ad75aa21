"""Checks that a pod has time to finish its requests before it is killed."""

from collections.abc import Iterator

from gateway.settings import Settings
from gateway.triton.client import LOOK_UP_SECONDS
from k8s.checks.rendering import Rendered
from k8s.checks.workloads import Workload, workload
from server.launcher.service import DRAIN_SECONDS as LAUNCHER_DRAIN_SECONDS
from server.triton.process import CONNECTION_AGE_SECONDS, EXIT_TIMEOUT_SECONDS

_AFTER_DRAIN_SECONDS = 5
"""What the gateway still leaves to calls to Triton (gateway/triton/client.py)."""
_FAREWELL_SECONDS = 3 + 5
"""How long the launcher waits past tritonserver's own timeout, and for what is left of it."""

_NAMES_SECONDS = 30
"""How long a cluster may keep a name: NodeLocal DNSCache by default."""


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
        for problem in _still_known(triton):
            yield f"{overlay.name}: {triton.name}: {problem}"


def _default(setting: str) -> float:
    return float(Settings.model_fields[setting].default)


def _pauses(workload: Workload) -> list[int]:
    return [
        container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        for container in workload.pod["containers"]
    ]


def _still_known(triton: Workload) -> Iterator[str]:
    """Gateways that may still send to a Triton which has begun to end."""
    known = _NAMES_SECONDS + CONNECTION_AGE_SECONDS + LOOK_UP_SECONDS
    if min(_pauses(triton)) < known:
        yield (
            f"preStop {min(_pauses(triton))} s is shorter than the {known} s in which gateways may "
            f"still send here: a name is kept for {_NAMES_SECONDS} s, a connection for "
            f"{CONNECTION_AGE_SECONDS} s, a look-up for {LOOK_UP_SECONDS} s; raise it"
        )


def _short(workload: Workload, end_seconds: float) -> Iterator[str]:
    grace = workload.pod.get("terminationGracePeriodSeconds", 30)
    pauses = _pauses(workload)
    if not min(pauses):
        yield "it has no preStop sleep: it would stop while callers are still sent to it"
    if grace <= max(pauses) + end_seconds:
        yield (
            f"terminationGracePeriodSeconds {grace} is not more than preStop {max(pauses)} s and "
            f"{end_seconds:g} s for its end; raise it"
        )
