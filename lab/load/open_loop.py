"""An open loop: requests start on a schedule, independent of answers."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

Call = TypeVar("Call")


class OpenLoop(Generic[Call]):
    """Begins calls at their moments, and keeps what became of each."""

    def __init__(self, call: Callable[[float], Awaitable[Call]]) -> None:
        """`call` sends one request that was due at a moment of `time.perf_counter`."""
        self._call = call
        self._under_way: set[asyncio.Task[None]] = set()
        self.calls: list[Call] = []
        """Those that have ended, in the order of their ends."""

    async def run(self, gaps: Iterator[float], seconds: float) -> None:
        """Begins calls for so long, and does not wait for the last answers.

        Args:
            gaps: seconds between two calls; the first begins at once.
            seconds: after which none begins any more.
        """
        start = time.perf_counter()
        for moment in itertools.accumulate(gaps, initial=start):
            if moment > start + seconds:
                break
            await asyncio.sleep(max(0.0, moment - time.perf_counter()))
            task = asyncio.create_task(self._one(moment))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def drain(self) -> None:
        """Waits until all that was begun has ended."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _one(self, moment: float) -> None:
        self.calls.append(await self._call(moment))
