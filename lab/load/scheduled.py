"""Sends photos to a server at the moments of a schedule, and keeps what became of each request."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from lab.load.client import Client, RequestError
from lab.load.open_loop import Alarm, OpenLoop


class End(StrEnum):
    """What became of a request."""

    ANSWERED = "answered"
    WRONG = "wrong"
    """Answered with other numbers than the reference's."""
    REFUSED = "refused"
    """The server said that it has no room for it now."""
    FAILED = "failed"
    """Lost, or an error."""
    UNSENT = "unsent"
    """The generator had as many under way as it may."""


@dataclass(slots=True)
class Sent:
    """One request; in seconds."""

    due: float
    """Since the first one was due."""
    late: float
    """From when it was due until it was sent: the generator's own share."""
    took: float
    """From when it was due, not from when it was sent, until it ended."""
    end: End
    photo: int
    answer: bytes = b""
    reason: str = ""
    """Why there is no answer."""


@dataclass(frozen=True)
class Limits:
    """When a schedule is given up, so that no run takes long or many connections."""

    bound: float
    """Seconds within which callers want an answer."""
    missed: int
    """Requests that may take longer or get none; with one more, no further ones are sent."""
    under_way: int
    """Requests that may be under way; one that would be more is not sent."""
    drain: float
    """Seconds for the last answers, after the last request."""


@dataclass
class Outcome:
    """What became of a schedule."""

    sent: list[Sent] = field(default_factory=list)
    """By when they were due."""
    seconds: float = 0.0
    """From the first moment to when the last request was due, of those that were sent."""
    stopped: bool = False
    """Whether it was given up, as too many had missed the bound."""
    pending: int = 0
    """Requests that had not ended when the time for that was over."""


async def send(client: Client, photos: int, gaps: Sequence[float], limits: Limits) -> Outcome:
    """Sends one request after each gap, whatever became of the others.

    No request is cancelled.

    Args:
        client: takes any number of workers.
        photos: how many there are; they are sent in turn.
        gaps: seconds between two requests; the first is sent at once.
        limits: when it is given up.
    """
    turn = itertools.cycle(range(photos))
    outcome, missed = Outcome(), 0

    async def call(due: float) -> Sent:
        nonlocal missed
        begun, photo = time.perf_counter(), next(turn)
        sent = Sent(due, begun - due, 0.0, End.UNSENT, photo)
        if flood.under_way <= limits.under_way:
            try:
                sent.answer = await client.ask(0, photo)
                sent.end = End.ANSWERED
            except RequestError as error:
                sent.end = End.REFUSED if error.refused else End.FAILED
                sent.reason = str(error)
        sent.took = time.perf_counter() - due
        if sent.end is not End.ANSWERED or sent.took > limits.bound:
            missed += 1
            if missed > limits.missed:
                outcome.stopped = True
                flood.stop()
        return sent

    with Alarm() as alarm:
        flood = OpenLoop(call, alarm.until)
        await flood.run(iter(gaps), float("inf"))
    await flood.drain(limits.drain)
    outcome.pending = flood.under_way
    outcome.sent = sorted(flood.calls, key=lambda each: each.due)
    if outcome.sent:
        start = outcome.sent[0].due
        for each in outcome.sent:
            each.due -= start
        outcome.seconds = outcome.sent[-1].due
    return outcome
