"""Tells a backend process that hangs from one that is merely busy."""

from collections.abc import Mapping
from dataclasses import dataclass

IDLE_SECONDS = 12.0
"""Requests wait, and there is neither an inference nor CPU time for as long: it hangs."""
BUSY_SECONDS = 90.0
"""Requests wait, and there is no inference for as long, whatever CPU time it uses: it hangs."""
_WORKING_CPU_SECONDS = 0.2
"""CPU time between two samples from which on a process works; less is its heartbeat."""


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
    """Fed every few seconds while a pipeline does not answer.

    That a model is at rest proves nothing: the queue may be before another one. That requests
    wait for it while it does nothing does.
    """

    def __init__(self) -> None:
        self._last: Mapping[str, ModelSample] = {}
        self._inferred: dict[str, float] = {}
        self._worked: dict[str, float] = {}

    def hanging(self, at: float, models: Mapping[str, ModelSample]) -> list[str]:
        """The models whose processes hang, as far as can be told by now; `at` in seconds."""
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
