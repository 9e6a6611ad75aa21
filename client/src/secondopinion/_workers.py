"""Processes many photos, a few at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def for_each(
    work: Callable[[T], Awaitable[R]],
    things: Iterable[T],
    concurrency: int,
    deliver: Callable[[R], None],
) -> None:
    """Calls `work` on each thing, and `deliver` with each result as soon as there is one.

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
    """As `for_each`, in the order of the things; an early end delivers what is done."""
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
        await for_each(placed, enumerate(things), concurrency, keep)
    finally:
        for place in sorted(done):
            deliver(done.pop(place))
