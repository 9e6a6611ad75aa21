"""The launcher's own state for the status page: liveness, pipelines that answer, restarts."""

import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter

_PATIENCE_SECONDS = 300.0
"""Longer than the longest step of the supervisor: Triton is started and loads everything anew."""


class LauncherHealth:
    """Ready from the first answered inference of a pipeline until the stop is requested.

    Not while `leaving`: then Triton still answers, but callers are to go elsewhere.
    """

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._served: Callable[[], list[str]] = list
        self._looked: float | None = None
        self.leaving = False
        self.releases: Callable[[], dict[str, dict[str, Any]]] = dict
        """Of each pipeline the releases that are loaded (ids), and why others are refused."""
        self.registry = CollectorRegistry()
        """Of the launcher's own metrics."""
        self.process_restarts = Counter(
            "server_stub_restarts",
            "Backend processes replaced because they died or hung",
            ["model"],
            registry=self.registry,
        )
        self.restarts = Counter(
            "server_restarts", "tritonserver started again after it ended", registry=self.registry
        )

    def begin(self, served: Callable[[], list[str]]) -> None:
        """Takes the function that gives the names of the pipelines that answer."""
        self._served = served
        self.look()

    def look(self) -> None:
        """Notes that the supervisor works."""
        self._looked = time.monotonic()

    @property
    def lives(self) -> bool:
        """Whether the supervisor works, or the launcher is still starting."""
        return self._looked is None or time.monotonic() - self._looked < _PATIENCE_SECONDS

    def pipelines(self) -> list[str]:
        """Names of the pipelines that answer, as far as is known; none while it stops or leaves."""
        return [] if self._stopping() or self.leaving else self._served()
