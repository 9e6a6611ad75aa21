"""What the launcher tells probes: that it lives, and that its pipelines answer."""

import time
from collections.abc import Callable

_PATIENCE_SECONDS = 300.0
"""Longer than the longest look at what runs: a Triton that is started and loaded anew."""


class Vitals:
    """Ready from the first answered inference of a pipeline until the stop is requested."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._served: Callable[[], list[str]] = list
        self._looked: float | None = None

    def begin(self, served: Callable[[], list[str]]) -> None:
        """From now on these pipelines are those that answer."""
        self._served = served
        self.look()

    def look(self) -> None:
        """Notes that somebody has just looked after what runs."""
        self._looked = time.monotonic()

    @property
    def lives(self) -> bool:
        """Whether the launcher looks after what runs, or is still starting it."""
        return self._looked is None or time.monotonic() - self._looked < _PATIENCE_SECONDS

    def pipelines(self) -> list[str]:
        """Names of those that answer, as far as is known; none while it stops."""
        return [] if self._stopping() else self._served()
