"""Who is let in: a limit on requests and on the bytes they bring, before a body is read."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.core.throughput import Pace
from gateway.errors import Code, RefusedError
from gateway.telemetry.metrics import Metrics

_ALWAYS = 8
"""Requests of a pipeline that are let in however slow it is; what is left behind counts, too."""


class Admission:
    """Counts what is in flight; refuses at once rather than let memory or a queue grow.

    What callers left behind in Triton takes places too: it is work all the same.
    """

    def __init__(
        self,
        requests: int,
        size: int,
        metrics: Metrics,
        left_behind: Callable[[], Counter[str]],
        *,
        wait: float = math.inf,
    ) -> None:
        """Limits on what is in flight.

        Args:
            requests: at most, what is left behind among them.
            size: bytes of their bodies, at most.
            metrics: count who is in and who is refused.
            left_behind: says how many images of each pipeline are in Triton for nobody.
            wait: seconds that one may have to wait, at most.
        """
        self._free_requests = requests
        self._free_bytes = size
        self._metrics = metrics
        self._left_behind = left_behind
        self._wait = wait
        self._paces: defaultdict[str, Pace] = defaultdict(Pace)

    @contextmanager
    def admit(self, pipeline: str, size: int, patience: float = math.inf) -> Iterator[None]:
        """Holds a place, and `size` bytes, for one request.

        Args:
            pipeline: the one that is asked.
            size: of the request's body.
            patience: seconds that are left until the request's deadline.

        Raises:
            RefusedError: with code `busy` where there is no place, or where the request would
                wait longer than it may or can.
        """
        left = self._left_behind()
        if self._free_requests - left.total() < 1:
            raise self._busy(pipeline, "requests")
        if self._free_bytes < size:
            raise self._busy(pipeline, "bytes")
        pace = self._paces[pipeline]
        ahead = pace.in_flight + left[pipeline]
        too_long = pace.wait(ahead) - min(self._wait, patience)
        if ahead >= _ALWAYS and too_long > 0:
            raise self._slow(pipeline, too_long)
        gauge = self._metrics.in_flight.labels(pipeline)
        self._free_requests -= 1
        self._free_bytes -= size
        gauge.inc()
        pace.enter(time.monotonic())
        answered = False
        try:
            yield
            answered = True
        finally:
            pace.leave(time.monotonic(), answered=answered)
            self._free_requests += 1
            self._free_bytes += size
            gauge.dec()

    def _busy(self, pipeline: str, reason: str) -> RefusedError:
        self._metrics.refused.labels(pipeline, reason).inc()
        return RefusedError(
            Code.BUSY, f"request: too many {reason} are in flight. Wait as Retry-After says."
        )

    def _slow(self, pipeline: str, too_long: float) -> RefusedError:
        self._metrics.refused.labels(pipeline, "wait").inc()
        return RefusedError(
            Code.BUSY,
            "request: so many are in flight that it would wait too long. Wait as Retry-After says.",
            retry_after=math.ceil(too_long),
        )
