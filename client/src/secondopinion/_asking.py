"""Asks about many photos, a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from secondopinion._answers import Prediction
from secondopinion._detections import Detections
from secondopinion._errors import (
    NotFoundError,
    ProblemError,
    SecondOpinionError,
    UnauthorizedError,
    UnreachableError,
)

Reply = Prediction | Detections
Failure = SecondOpinionError | OSError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Outcome:
    """What became of one photo: an answer, or the reason why there is none."""

    file: Path
    reply: Reply | Failure
    picture: Path | None = None


async def settled(asked: Awaitable[T]) -> T | Failure:
    """The answer, or the error that concerns this photo alone.

    Raises:
        SecondOpinionError: An error that every other photo would meet as well.
    """
    try:
        return await asked
    except (SecondOpinionError, OSError) as error:
        if _concerns_every_photo(error):
            raise
        # Their frames hold the photo's bytes, and outcomes may be kept until the end of the run.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        return error


async def each(
    work: Callable[[T], Awaitable[R]],
    things: Iterable[T],
    concurrency: int,
    deliver: Callable[[R], None],
) -> None:
    """Calls `deliver` with what became of each thing, as soon as it is known.

    No thing is taken up before one of the `concurrency` places is free.

    Raises:
        Exception: What `work` raises ends the run.
    """
    queue = iter(things)

    async def take() -> None:
        for thing in queue:
            deliver(await work(thing))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(take())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None  # one reason to stop is enough


async def in_order(
    work: Callable[[T], Awaitable[R]],
    things: Iterable[T],
    concurrency: int,
    deliver: Callable[[R], None],
) -> None:
    """As `each`, in the order of the things; when it ends early, what is known is delivered."""
    done: dict[int, R] = {}
    following = 0

    async def placed(numbered: tuple[int, T]) -> tuple[int, R]:
        place, thing = numbered
        return place, await work(thing)

    def keep(known: tuple[int, R]) -> None:
        nonlocal following
        done[known[0]] = known[1]
        while following in done:
            deliver(done.pop(following))
            following += 1

    try:
        await each(placed, enumerate(things), concurrency, keep)
    finally:
        for place in sorted(done):
            deliver(done.pop(place))


def _concerns_every_photo(error: Exception) -> bool:
    if isinstance(error, UnreachableError | UnauthorizedError | NotFoundError):
        return True
    return isinstance(error, ProblemError) and error.code in {
        "parameter_invalid",
        "parameter_unknown",
    }
