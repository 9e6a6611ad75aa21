"""Limits on requests in flight, their bytes and their expected wait, before a body is read."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import Code, RefusedError

_ALWAYS = 8
"""Requests of a pipeline that are admitted however slow it is; what is left behind counts, too."""
_SMOOTHING = 1 / 32
"""Weight of the newest interval in the mean."""
_SAMPLES = 16
"""Answers that the estimate needs before it says anything."""


@dataclass(slots=True)
class ThroughputEstimate:
    """The requests of one pipeline that are in flight, and the mean time between two answers.

    The wait is their product (Little's law; J. D. C. Little, A Proof for the Queuing Formula
    L = lambda W, 1961). Intervals are measured only while requests are in flight, so an idle time
    does not make a pipeline look slow. Times are of a monotonic clock, in seconds.
    """

    in_flight: int = 0
    _interval: float = 0.0
    _samples: int = 0
    _since: float = 0.0
    """Time of the last answer, or of the first request after an idle time."""

    def enter(self, now: float) -> None:
        """A request begins."""
        if not self.in_flight:
            self._since = now
        self.in_flight += 1

    def leave(self, now: float, *, answered: bool) -> None:
        """A request ends. Failed or abandoned requests do not update the estimate."""
        self.in_flight -= 1
        if not answered:
            return
        self._samples += 1
        # The first intervals have equal weights; later ones fade.
        weight = max(_SMOOTHING, 1 / self._samples)
        self._interval += weight * (now - self._since - self._interval)
        self._since = now

    def wait(self, ahead: int) -> float:
        """Expected seconds until one more request is answered; 0 while too little is known.

        Args:
            ahead: requests that come first: those in flight, and those left behind.
        """
        return ahead * self._interval if self._samples >= _SAMPLES else 0.0


class Work(Protocol):
    """What goes on in Triton."""

    @property
    def left_behind(self) -> Counter[str]:
        """Images of each pipeline that are in Triton and whose callers no longer wait."""


class Admission:
    """Counts what is in flight; refuses at once, so that neither memory nor a queue grows.

    Images that callers left behind in Triton take places too: they are work all the same.
    """

    def __init__(
        self,
        requests: int,
        size: int,
        work: Work,
        *,
        wait: float = math.inf,
    ) -> None:
        """Limits on what is in flight.

        Args:
            requests: at most, with those left behind.
            size: bytes of their bodies, at most.
            work: knows the images of each pipeline that were left behind.
            wait: seconds that a request may have to wait, at most.
        """
        self._free_requests = requests
        self._free_bytes = size
        self._work = work
        self._wait = wait
        self._estimates: defaultdict[str, ThroughputEstimate] = defaultdict(ThroughputEstimate)

    @property
    def in_flight(self) -> Mapping[str, int]:
        """Requests that hold a place, of each pipeline that ever had one."""
        return {name: estimate.in_flight for name, estimate in self._estimates.items()}

    @contextmanager
    def admit(self, pipeline: str, size: int, remaining: float = math.inf) -> Iterator[None]:
        """Holds a place, and `size` bytes, for one request.

        Args:
            pipeline: the one that is asked.
            size: of the request's body, in bytes.
            remaining: seconds until the request's deadline.

        Raises:
            RefusedError: with code `busy` where there is no place, or where the request would
                wait longer than it may or can.
        """
        left = self._work.left_behind
        if self._free_requests - left.total() < 1:
            raise _busy("requests")
        if self._free_bytes < size:
            raise _busy("bytes")
        estimate = self._estimates[pipeline]
        ahead = estimate.in_flight + left[pipeline]
        too_long = estimate.wait(ahead) - min(self._wait, remaining)
        if ahead >= _ALWAYS and too_long > 0:
            raise RefusedError(
                Code.BUSY,
                "request: so many are in flight that it would wait too long. "
                "Wait as Retry-After says.",
                retry_after=math.ceil(too_long),
                reason="wait",
            )
        self._free_requests -= 1
        self._free_bytes -= size
        estimate.enter(time.monotonic())
        answered = False
        try:
            yield
            answered = True
        finally:
            estimate.leave(time.monotonic(), answered=answered)
            self._free_requests += 1
            self._free_bytes += size


def _busy(what: str) -> RefusedError:
    return RefusedError(
        Code.BUSY,
        f"request: too many {what} are in flight. Wait as Retry-After says.",
        reason=what,
    )
