"""The base of all users: sends studies on a schedule and counts each outcome."""

import random
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar

import gevent
from gevent.pool import Pool
from locust import User, task
from locust.env import Environment

from loadtest import arrivals
from loadtest.photos import Photo
from loadtest.reply import Reply
from loadtest.session import Session
from loadtest.study import End, Patience, deliver

CHANCE = random.Random()  # noqa: S311 - no secret


class StudyFailedError(Exception):
    """In Locust's report: a study without the right answer, and why."""


class Sender(User):
    """Sends studies and notes what becomes of each."""

    abstract = True
    session: ClassVar[Session]
    """Set before users are made."""
    kind: ClassVar[str]
    """Its name in budgets and reports."""
    transport: ClassVar[str]
    """How it sends, for reports."""
    patience: ClassVar[Patience]

    def ask(self, photos: Sequence[Photo]) -> Reply:
        """Sends one study once."""
        raise NotImplementedError

    def on_stop(self) -> None:
        """Ends when nothing is under way."""

    def pick(self) -> list[Photo]:
        """The photos of the next study."""
        return [CHANCE.choice(self.session.photos)]

    def send(self, photos: Sequence[Photo], intended: float | None = None) -> None:
        """Sends one study until it is answered or given up.

        Args:
            photos: What it consists of.
            intended: When it was there to be sent (`time.perf_counter`); now, if left out.
        """
        session = self.session
        session.ledger.begin(self.kind)
        outcome = deliver(
            partial(self.ask, photos),
            partial(session.reference.fault, photos),
            self.patience,
            intended=time.perf_counter() if intended is None else intended,
            clock=time.perf_counter,
            sleep=gevent.sleep,
        )
        session.ledger.end(self.kind, outcome)
        failure = None if outcome.end is End.ANSWERED else StudyFailedError(outcome.fault)
        self._report(self.transport, outcome.seconds, failure)
        for seconds in outcome.refusals:
            self._report("refusal", seconds, None)

    def _report(self, way: str, seconds: float, failure: Exception | None) -> None:
        self.environment.events.request.fire(
            request_type=way,
            name=self.kind,
            response_time=seconds * 1000,
            response_length=0,
            exception=failure,
            context={},
        )


class Concurrent(Sender):
    """Has several studies under way; stops when all of them have ended."""

    abstract = True
    at_most: ClassVar[int | None] = None
    """Under way at a time; None: as many as there are."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._under_way = Pool(self.at_most)

    def on_stop(self) -> None:
        """Waits for what is under way."""
        self._under_way.join()

    def begin(self, intended: float | None = None) -> None:
        """Sends a study beside the others, as soon as there is a place for it."""
        self._under_way.spawn(self.send, self.pick(), intended)


class OpenLoop(Concurrent):
    """Sends by a schedule, whether or not earlier studies are answered."""

    abstract = True

    def gaps(self) -> Iterator[float]:
        """Seconds between arrivals."""
        raise NotImplementedError

    def on_start(self) -> None:
        """Fixes the schedule."""
        self._moments = arrivals.intended(self.gaps(), time.perf_counter())
        self._next = next(self._moments)

    def wait_time(self) -> float:
        """Seconds until the next arrival; 0 where the sender is late."""
        self._next = next(self._moments)
        return max(0.0, self._next - time.perf_counter())

    @task
    def arrive(self) -> None:
        """Sends the study whose moment it is."""
        self.begin(self._next)
