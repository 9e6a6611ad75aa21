"""Tells whether a backend process hangs or is only busy."""

from collections.abc import Mapping
from dataclasses import dataclass

IDLE_SECONDS = 12.0
"""It hangs if requests wait and it makes no inference and uses no CPU time for so long."""
BUSY_SECONDS = 90.0
"""It hangs if requests wait and it makes no inference for so long, whatever CPU time it uses."""
_WORKING_CPU_SECONDS = 0.2
"""CPU time between two samples above which a process works; an idle one uses less."""


@dataclass(frozen=True)
class ModelSample:
    """One model at one moment."""

    waiting: int
    """Requests in its queue."""
    inferences: int
    """Done so far."""
    cpu: float
    """CPU seconds of its backend processes so far."""


class Stall:
    """Takes a sample of a pipeline's models every few seconds while it does not answer.

    A model that is at rest may be healthy: the requests may wait for another model. It hangs if
    requests wait for it while it does nothing.
    """

    def __init__(self) -> None:
        self._last: Mapping[str, ModelSample] = {}
        self._inferred: dict[str, float] = {}
        self._worked: dict[str, float] = {}

    def hanging(self, at: float, models: Mapping[str, ModelSample]) -> list[str]:
        """The models whose processes are known to hang; `at` is the time in seconds."""
        for name, now in models.items():
            before = self._last.get(name)
            if before is None or not now.waiting or now.inferences != before.inferences:
                self._inferred[name] = self._worked[name] = at
            elif now.cpu - before.cpu >= _WORKING_CPU_SECONDS:
                self._worked[name] = at
        self._last = models
        return [
            name
            for name in models
            if at - self._worked[name] > IDLE_SECONDS or at - self._inferred[name] > BUSY_SECONDS
        ]
