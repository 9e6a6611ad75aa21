"""Limits on what is in flight: bytes as they arrive, then a place, then the expected wait.

Two shares keep a limit from being used up by one side. A caller has at most a stated share of the
places and of the bytes. Half of both is dealt out evenly among the pipelines that are served, and
is kept for them: a pipeline that hangs cannot take what the others need.

Requests for explanations, each of which costs as much as many images, have a limit of their own
beside that, with the same shares. They do not count to the expected wait: others overtake them.
"""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.errors import Code, RefusedError

_ALWAYS = 8
"""Requests of a pipeline that are admitted however slow it is."""
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
            ahead: requests that come first, with those left behind.
        """
        return ahead * self._interval if self._samples >= _SAMPLES else 0.0


class _Limit:
    """One limit, of places or of bytes: what is held of it, by caller and by pipeline."""

    def __init__(
        self,
        name: str,
        capacity: int,
        largest: int,
        caller_share: float,
        served: Callable[[], Collection[str]],
    ) -> None:
        """Holds nothing yet.

        Args:
            name: what is held, for callers and as the reason of a refusal.
            capacity: as much may be held.
            largest: one request may hold as much, whatever the shares.
            caller_share: of the capacity, for one caller at most.
            served: the names of the pipelines.
        """
        self._name = name
        self._capacity = capacity
        self._of_caller = max(largest, int(capacity * caller_share))
        self._kept = min(capacity // 2, capacity - largest)
        self._served = served
        self._callers: Counter[str] = Counter()
        self.pipelines: Counter[str] = Counter()

    def check(self, caller: str, pipeline: str, amount: int) -> None:
        """Refuses a request that would hold `amount` more than it may.

        Raises:
            RefusedError: with code `busy`.
        """
        served = self._served()
        kept = self._kept // max(1, len(served))
        others = sum(max(self.pipelines[name], kept) for name in served if name != pipeline)
        if self.pipelines[pipeline] + amount + others > self._capacity:
            raise _busy(self._name, self._name)
        if self._callers[caller] + amount > self._of_caller:
            raise _busy(f"{self._name} of this caller", "caller")

    def hold(self, caller: str, pipeline: str, amount: int) -> None:
        """Counts `amount` more, or less where it is negative."""
        self.pipelines[pipeline] += amount
        self._callers[caller] += amount
        if not self._callers[caller]:
            # Callers come and go: their names are not kept.
            del self._callers[caller]


class Holding:
    """What one request holds: the bytes of its body as they come, and then a place.

    All is given back when the request has ended and no inference that was begun for it goes on: a
    caller that hangs up does not get more of the service than its share.
    """

    def __init__(self, admission: "Admission", caller: str, pipeline: str) -> None:
        self._admission = admission
        self._caller = caller
        self._pipeline = pipeline
        self._bytes = 0
        self._place = self._explains = False
        self._users = 1

    def receive(self, size: int) -> None:
        """Counts bytes that came.

        Raises:
            RefusedError: with code `busy` where they are too many.
        """
        self._admission.bytes.check(self._caller, self._pipeline, size)
        self._admission.bytes.hold(self._caller, self._pipeline, size)
        self._bytes += size

    def take_place(self, remaining: float = math.inf, *, explains: bool = False) -> None:
        """Takes a place, once the body is whole.

        Args:
            remaining: seconds until the request's deadline.
            explains: whether the request asks for an explanation.

        Raises:
            RefusedError: with code `busy` where there is none, or where the request would wait
                longer than it may or can.
        """
        self._admission.check(self._caller, self._pipeline, 0, remaining)
        if explains:
            self._admission.explanations.check(self._caller, self._pipeline, 1)
            self._admission.explanations.hold(self._caller, self._pipeline, 1)
        else:
            self._admission.estimates[self._pipeline].enter(time.monotonic())
        self._admission.places.hold(self._caller, self._pipeline, 1)
        self._place, self._explains = True, explains

    def retain(self) -> None:
        """An inference begins for the request."""
        self._users += 1

    def release(self) -> None:
        """An inference for the request is over."""
        self._users -= 1
        if not self._users:
            self._admission.bytes.hold(self._caller, self._pipeline, -self._bytes)
            self._admission.places.hold(self._caller, self._pipeline, -int(self._place))
            self._admission.explanations.hold(self._caller, self._pipeline, -int(self._explains))

    def end(self, *, answered: bool) -> None:
        """The request ends. It is called once."""
        if self._place and not self._explains:
            self._admission.estimates[self._pipeline].leave(time.monotonic(), answered=answered)
        self.release()


class Admission:
    """Counts what is in flight; refuses at once, so that neither memory nor a queue grows."""

    def __init__(
        self,
        requests: int,
        size: int,
        served: Callable[[], Collection[str]],
        *,
        largest: int = 1,
        caller_share: float = 1.0,
        wait: float = math.inf,
        explanations: int = 1,
    ) -> None:
        """Limits on what is in flight.

        Args:
            requests: that hold a place, at most.
            size: bytes of bodies, at most.
            served: the names of the pipelines.
            largest: bytes of the largest body.
            caller_share: of places and bytes, for one caller at most.
            wait: seconds that a request may have to wait, at most.
            explanations: requests for explanations that hold a place, at most.
        """
        self.places = _Limit("requests", requests, 1, caller_share, served)
        self.bytes = _Limit("bytes", size, largest, caller_share, served)
        self.explanations = _Limit("explanations", explanations, 1, caller_share, served)
        self.estimates: defaultdict[str, ThroughputEstimate] = defaultdict(ThroughputEstimate)
        self._wait = wait

    @property
    def in_flight(self) -> Mapping[str, int]:
        """Requests that hold a place and are waited for, of each pipeline that ever had one.

        Explanations count until Triton is done with them.
        """
        explained = self.explanations.pipelines
        names = dict.fromkeys([*self.estimates, *explained])
        return {name: self._waited_for(name) + explained[name] for name in names}

    def _waited_for(self, pipeline: str) -> int:
        estimate = self.estimates.get(pipeline)
        return 0 if estimate is None else estimate.in_flight

    @contextmanager
    def enter(
        self, caller: str, pipeline: str, size: int, remaining: float = math.inf
    ) -> Iterator[Holding]:
        """Lets a request begin: it is checked as if its body were there, and holds nothing yet.

        Args:
            caller: whose share counts: the key's name or the address.
            pipeline: the one that is asked; it is served.
            size: of the request's body in bytes, as far as it is known.
            remaining: seconds until the request's deadline.

        Raises:
            RefusedError: with code `busy`, as a place or so many bytes would be refused.
        """
        self.check(caller, pipeline, size, remaining)
        holding = Holding(self, caller, pipeline)
        answered = False
        try:
            yield holding
            answered = True
        finally:
            holding.end(answered=answered)

    def check(self, caller: str, pipeline: str, size: int, remaining: float) -> None:
        """Refuses a request that could not have a place, or so many bytes, at this moment.

        Raises:
            RefusedError: with code `busy`.
        """
        self.places.check(caller, pipeline, 1)
        self.bytes.check(caller, pipeline, size)
        ahead = self.places.pipelines[pipeline]
        too_long = self.estimates[pipeline].wait(ahead) - min(self._wait, remaining)
        if ahead >= _ALWAYS and too_long > 0:
            raise RefusedError(
                Code.BUSY,
                "request: so many are in flight that it would wait too long. "
                "Wait as Retry-After says.",
                retry_after=math.ceil(too_long),
                reason="wait",
            )


def _busy(what: str, reason: str) -> RefusedError:
    return RefusedError(
        Code.BUSY,
        f"request: too many {what} are in flight. Wait as Retry-After says.",
        reason=reason,
    )
