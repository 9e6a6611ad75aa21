"""Sends many photos to the service, several at a time; collects an answer or an error for each."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from secondopinion import (
    NotFoundError,
    SecondOpinionError,
    UnauthorizedError,
    UnreachableError,
)

A = TypeVar("A")
PATIENCE_SECONDS = 60.0
"""Within which an answer is wanted: people at a screen go before an evaluation."""


@dataclass(frozen=True)
class Answered(Generic[A]):
    """A photo with its answer; `sha256` is of the file's content."""

    file: Path
    sha256: str
    answer: A


@dataclass(frozen=True)
class Failed:
    """A photo without an answer, and why."""

    file: Path
    reason: str


Outcome = Answered[A] | Failed


async def ask_all(
    ask: Callable[[bytes], Awaitable[A]],
    files: Sequence[Path],
    concurrency: int,
    on_outcome: Callable[[], None] = lambda: None,
) -> list[Outcome[A]]:
    """Asks about every file and returns the outcomes in the files' order.

    Args:
        ask: Sends one file's content.
        files: Read when their turn comes, so `concurrency` of them are in memory.
        concurrency: How many are on their way at the same time.
        on_outcome: Called after each file.

    Raises:
        SecondOpinionError: One that every other photo would meet as well.
    """
    outcomes: dict[int, Outcome[A]] = {}
    places = enumerate(files)

    async def work() -> None:
        for place, file in places:
            outcomes[place] = await _outcome(ask, file)
            on_outcome()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None  # one reason to stop is enough
    return [outcomes[place] for place in range(len(files))]


async def _outcome(ask: Callable[[bytes], Awaitable[A]], file: Path) -> Outcome[A]:
    try:
        content = await asyncio.to_thread(file.read_bytes)
        sha256 = hashlib.sha256(content).hexdigest()
        return Answered(file, sha256, await ask(content))
    except OSError as error:
        return Failed(file, error.strerror or str(error))
    except (UnreachableError, UnauthorizedError, NotFoundError):
        raise
    except SecondOpinionError as error:
        return Failed(file, str(error))
