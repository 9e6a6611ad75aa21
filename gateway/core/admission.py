"""Limits on what is in flight: bytes as they arrive, then a place, then the expected time.

Two shares keep a limit from being used up by one side. A caller has at most a stated share of the
places and of the bytes. Half of both is dealt out evenly among the pipelines that are served, and
is kept for them: a pipeline that hangs cannot take what the others need.

Requests for explanations, each of which costs as much as many images, have a limit of their own
beside that, with the same shares. They do not count to the expected time: others overtake them.

A request is let in where its answer is expected within the time that its caller wants it in. Who
gives more time than the pipeline promises is patient: the others come first.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.core.load import ALWAYS, Load
from gateway.errors import Code, RefusedError

_MANY = 10_000
"""More images than any number of calls takes."""


@dataclass(frozen=True, slots=True)
class ResponseTime:
    """What is known of the time, in seconds, within which a request is to be answered."""

    promised: float = math.inf
    """By its pipeline."""
    asked: float | None = None
    """By its caller; None: nothing."""
    several: bool = False
    """Whether it is a batch, whose caller waits for all of it."""


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

    @property
    def held(self) -> int:
        """What is held of it by all, also for callers who left."""
        return self.pipelines.total()

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

    def __init__(
        self, admission: "Admission", caller: str, pipeline: str, wanted: ResponseTime
    ) -> None:
        self._admission = admission
        self.caller = caller
        self._pipeline = pipeline
        self._wanted = wanted
        self._load = admission.loads[pipeline]
        self._bytes = 0
        self._place = self._explains = self._left = False
        self._users = 1
        self._images = 0
        """That it waits for and that count to the expected time."""
        self._in_triton = 0
        self.patient = False
        """Whether others come first; told when it has a place."""

    def receive(self, size: int) -> None:
        """Counts bytes that came.

        Raises:
            RefusedError: with code `busy` where they are too many.
        """
        self._admission.bytes.check(self.caller, self._pipeline, size)
        self._admission.bytes.hold(self.caller, self._pipeline, size)
        self._bytes += size

    def take_place(
        self, images: int = 1, remaining: float = math.inf, *, explains: bool = False
    ) -> None:
        """Takes a place, once the body is whole.

        Args:
            images: of the request.
            remaining: seconds until the request's deadline.
            explains: whether the request asks for an explanation.

        Raises:
            RefusedError: with code `busy` where there is none, or where no answer is expected
                within the time that the caller wants it in, or can wait.
        """
        admission, caller, pipeline = self._admission, self.caller, self._pipeline
        admission.check(caller, pipeline, 0, remaining, self._wanted, images=images)
        self.patient = admission.patient(self._wanted, images)
        if explains:
            admission.explanations.check(caller, pipeline, 1)
            admission.explanations.hold(caller, pipeline, 1)
        else:
            self._load.requests[self.patient] += 1
            self._load.enter(caller, patient=self.patient, images=images)
            self._images = images
        admission.places.hold(caller, pipeline, 1)
        self._place, self._explains = True, explains

    def answered(self, images: int) -> None:
        """Images of the request have their answers."""
        if images := min(images, self._images):
            self._images -= images
            self._load.answered(self.caller, patient=self.patient, images=images)

    @property
    def at_once(self) -> int:
        """Images of patient callers that may be in Triton: who comes then waits for them."""
        return self._admission.at_once(self._pipeline, self._wanted)

    def sent(self) -> None:
        """An image of the request is sent to Triton."""
        self.retain()
        if not self._explains:
            self._in_triton += 1
            self._load.patient_in_triton += self.patient

    def returned(self) -> None:
        """Triton is done with an image of the request."""
        if not self._explains:
            self._in_triton -= 1
            self._load.patient_in_triton -= self.patient
            self._load.left_in_triton -= self._left
        self.release()

    def retain(self) -> None:
        """Somebody works on for the request, whether or not its caller waits."""
        self._users += 1

    def release(self) -> None:
        """One of those is done."""
        self._users -= 1
        if not self._users:
            self._abandon()
            self._admission.bytes.hold(self.caller, self._pipeline, -self._bytes)
            self._admission.places.hold(self.caller, self._pipeline, -int(self._place))
            self._admission.explanations.hold(self.caller, self._pipeline, -int(self._explains))

    def end(self) -> None:
        """The request ends. It is called once."""
        if self._place and not self._explains:
            self._load.requests[self.patient] -= 1
        if self._users == 1 + self._in_triton:
            # Nobody works on for it: what is not in Triton will never be.
            self._abandon()
            self._left = not self.patient
            self._load.left_in_triton += self._left * self._in_triton
        self.release()

    def _abandon(self) -> None:
        if self._images:
            self._load.leave(self.caller, patient=self.patient, images=self._images)
            self._images = 0


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
        respond_within: float | None = None,
        explanations: int = 1,
    ) -> None:
        """Limits on what is in flight.

        Args:
            requests: that hold a place, at most.
            size: bytes of bodies, at most.
            served: the names of the pipelines.
            largest: bytes of the largest body.
            caller_share: of places, bytes and time, for one caller at most.
            wait: seconds that a caller may ask for, at most.
            respond_within: seconds, in place of what the pipelines promise.
            explanations: requests for explanations that hold a place, at most.
        """
        self.places = _Limit("requests", requests, 1, caller_share, served)
        self.bytes = _Limit("bytes", size, largest, caller_share, served)
        self.explanations = _Limit("explanations", explanations, 1, caller_share, served)
        self.loads: defaultdict[str, Load] = defaultdict(Load)
        self._caller_share = caller_share
        self._wait = wait
        self._respond_within = respond_within

    @property
    def in_flight(self) -> Mapping[str, int]:
        """Requests that hold a place and are waited for, of each pipeline that ever had one.

        Explanations count until Triton is done with them.
        """
        explained = self.explanations.pipelines
        names = dict.fromkeys([*self.loads, *explained])
        return {name: self._waited_for(name) + explained[name] for name in names}

    def _waited_for(self, pipeline: str) -> int:
        load = self.loads.get(pipeline)
        return 0 if load is None else load.requests.total()

    @contextmanager
    def enter(
        self,
        caller: str,
        pipeline: str,
        size: int,
        remaining: float = math.inf,
        wanted: ResponseTime = ResponseTime(),
    ) -> Iterator[Holding]:
        """Lets a request begin: it is checked as if its body were there, and holds nothing yet.

        Args:
            caller: whose share counts: the key's name or the address.
            pipeline: the one that is asked; it is served.
            size: of the request's body in bytes, as far as it is known.
            remaining: seconds until the request's deadline.
            wanted: the time within which it is to be answered.

        Raises:
            RefusedError: with code `busy`, as a place or so many bytes would be refused.
        """
        self.check(caller, pipeline, size, remaining, wanted)
        holding = Holding(self, caller, pipeline, wanted)
        try:
            yield holding
        finally:
            holding.end()

    def patient(self, wanted: ResponseTime, images: int = 1) -> bool:
        """Whether the caller of so many images gives more time than its pipeline promises."""
        return self._seconds(wanted, images) > self.promised(wanted.promised)

    def promised(self, seconds: float) -> float:
        """Seconds within which a pipeline that promises so many is to answer here."""
        return min(seconds if self._respond_within is None else self._respond_within, self._wait)

    def at_once(self, pipeline: str, wanted: ResponseTime) -> int:
        """Images of patient callers that Triton may have: half of the promised time."""
        interval = self.loads[pipeline].total.interval
        half = self.promised(wanted.promised) / 2
        # One alone would leave processes idle.
        return max(2, int(min(half / interval, _MANY))) if interval else _MANY

    def check(
        self,
        caller: str,
        pipeline: str,
        size: int,
        remaining: float,
        wanted: ResponseTime,
        *,
        images: int = 1,
    ) -> None:
        """Refuses a request that could not have a place, or so many bytes, at this moment.

        Raises:
            RefusedError: with code `busy`.
        """
        self.places.check(caller, pipeline, 1)
        self.bytes.check(caller, pipeline, size)
        load, patient = self.loads[pipeline], self.patient(wanted, images)
        first = self.places.pipelines[pipeline] - self.explanations.pipelines[pipeline]
        if not patient:
            first -= load.requests[True]
        if first < ALWAYS:
            return
        within = min(self._seconds(wanted, images), remaining)
        expected, before = load.seconds(patient=patient, images=images)
        if (late := expected - within) > 0:
            raise _late("", "wait", min(late, before))
        own = load.images[patient][caller]
        interval = load.total.interval
        if (late := (own + images) * interval - self._caller_share * within) > 0:
            raise _late(" of this caller", "caller", min(late, own * interval))

    def _seconds(self, wanted: ResponseTime, images: int) -> float:
        if wanted.asked is not None:
            return min(wanted.asked, self._wait)
        return self._wait if wanted.several or images > 1 else self.promised(wanted.promised)


def _busy(what: str, reason: str) -> RefusedError:
    return RefusedError(
        Code.BUSY,
        f"request: too many {what} are in flight. Wait as Retry-After says.",
        reason=reason,
    )


def _late(whose: str, reason: str, seconds: float) -> RefusedError:
    return RefusedError(
        Code.BUSY,
        f"request: so many{whose} are in flight that it would not be answered in time. Wait as "
        "Retry-After says, or ask for more time with X-Respond-Within-Ms.",
        retry_after=math.ceil(seconds),
        reason=reason,
    )
