"""One study, from its arrival until it is answered or reported as failed."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from loadtest.prediction import Prediction
from loadtest.reply import Reply

_JITTER = random.Random()  # noqa: S311 - no secret


class End(StrEnum):
    """How a study ends; there is no other way but to be lost."""

    ANSWERED = "answered"
    WRONG = "wrong"
    """Answered, but not as the reference, or not at all what was asked."""
    REPORTED = "reported"
    """Given up: whoever sent it is told so."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a study is sent again while the service is busy or away.

    Attributes:
        attempts: Sent at most so often, the first included.
        first_wait: Seconds before the second attempt where no `Retry-After` says; doubles.
        longest_wait: Where the doubling ends, and the most that `Retry-After` is followed.
    """

    attempts: int
    first_wait: float = 0.5
    longest_wait: float = 30.0


@dataclass(slots=True)
class Outcome:
    """What became of a study; times in seconds on the clock that it was given.

    Attributes:
        intended: When it was there to be sent; its latency counts from here, so that a sender
            who is late does not hide a service that is slow.
        refusals: How long each refused attempt took.
    """

    intended: float
    end: End = End.REPORTED
    ended: float = 0.0
    fault: str = ""
    attempts: int = 0
    refusals: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """From the intended moment to the end."""
        return self.ended - self.intended


def deliver(
    ask: Callable[[], Reply],
    check: Callable[[Sequence[Prediction]], str],
    patience: Patience,
    *,
    intended: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Outcome:
    """Asks until there is an answer, or the patience ends.

    Args:
        ask: Sends the study once; raises nothing.
        check: Says what is wrong with an answer; empty where nothing is.
        patience: When to give up.
        intended: When the study was there to be sent, on the clock.
        clock: The time in seconds.
        sleep: Waits for so many seconds.
    """
    outcome = Outcome(intended)
    while True:
        start = clock()
        reply = ask()
        outcome.ended = clock()
        outcome.attempts += 1
        if reply.refused:
            outcome.refusals.append(outcome.ended - start)
        if not reply.repeatable or outcome.attempts >= patience.attempts:
            break
        sleep(_wait(reply, patience, outcome.attempts))
    outcome.fault = reply.fault or check(reply.predictions)
    if not outcome.fault:
        outcome.end = End.ANSWERED
    elif not reply.repeatable:
        outcome.end = End.WRONG
    return outcome


def _wait(reply: Reply, patience: Patience, attempt: int) -> float:
    if reply.retry_after is not None:
        return min(reply.retry_after, patience.longest_wait)
    # Jitter, so that those refused together do not come back together.
    limit: float = min(patience.longest_wait, patience.first_wait * 2 ** (attempt - 1))
    return limit * _JITTER.uniform(0.5, 1.0)
