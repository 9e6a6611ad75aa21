"""Asks about many photos, a few at a time, and hands the outcomes on in the photos' order."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from secondopinion._answers import Prediction
from secondopinion._errors import (
    NotFoundError,
    ProblemError,
    SecondOpinionError,
    UnauthorizedError,
    UnreachableError,
)


@dataclass(frozen=True)
class Outcome:
    """What became of one photo: an answer, or the reason why there is none."""

    file: Path
    reply: Prediction | SecondOpinionError | OSError


async def ask_all(
    ask: Callable[[Path], Awaitable[Prediction]],
    photos: Iterable[Path],
    concurrency: int,
    deliver: Callable[[Outcome], None],
) -> None:
    """Calls `deliver` once for each photo, in order, as soon as all before it are delivered.

    No photo is opened before one of the `concurrency` places is free. When it is cancelled, what
    has been answered is still delivered.

    Raises:
        SecondOpinionError: An error that every other photo would meet as well ends the run.
    """
    places = enumerate(photos)
    done: dict[int, Outcome] = {}
    following = 0

    async def work() -> None:
        nonlocal following
        for place, photo in places:
            done[place] = await _outcome(ask, photo)
            while following in done:
                deliver(done.pop(following))
                following += 1

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None  # one reason to stop is enough
    finally:
        for place in sorted(done):
            deliver(done.pop(place))


async def _outcome(ask: Callable[[Path], Awaitable[Prediction]], photo: Path) -> Outcome:
    try:
        return Outcome(photo, await ask(photo))
    except (SecondOpinionError, OSError) as error:
        if _concerns_every_photo(error):
            raise
        # Their frames hold the photo's bytes, and outcomes are kept until the end of the run.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        return Outcome(photo, error)


def _concerns_every_photo(error: Exception) -> bool:
    if isinstance(error, UnreachableError | UnauthorizedError | NotFoundError):
        return True
    return isinstance(error, ProblemError) and error.code in {
        "parameter_invalid",
        "parameter_unknown",
    }
