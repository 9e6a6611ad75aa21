"""An open loop: requests start on a schedule, independent of answers."""

import asyncio
import itertools
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, Self, TypeVar

Call = TypeVar("Call")
Wait = Callable[[float], Awaitable[None]]
"""Waits for a moment of `time.perf_counter`."""
_SHORTEST = 2e-6
"""Seconds; a timer of 0 would never ring."""


async def sleep_until(moment: float) -> None:
    """Waits by the event loop's own timer, which counts whole milliseconds."""
    await asyncio.sleep(max(0.0, moment - time.perf_counter()))


class Alarm:
    """Wakes the event loop by the system's timer: never early, and late by about 0.1 ms.

    A process has one at a time, in its main thread.
    """

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._rung = self._loop.create_future()
        self._loop.add_signal_handler(signal.SIGALRM, self._ring)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._loop.remove_signal_handler(signal.SIGALRM)

    async def until(self, moment: float) -> None:
        """Waits for a moment of `time.perf_counter`; one that is past lets others go first."""
        await asyncio.sleep(0)
        while (left := moment - time.perf_counter()) > 0:
            self._rung = self._loop.create_future()
            signal.setitimer(signal.ITIMER_REAL, max(left, _SHORTEST))
            await self._rung

    def _ring(self) -> None:
        if not self._rung.done():
            self._rung.set_result(None)


class OpenLoop(Generic[Call]):
    """Begins calls at their moments, and keeps what became of each."""

    def __init__(self, call: Callable[[float], Awaitable[Call]], wait: Wait = sleep_until) -> None:
        """Takes what is done.

        Args:
            call: sends one request that was due at a moment of `time.perf_counter`.
            wait: for the moment of the next one.
        """
        self._call, self._wait = call, wait
        self._under_way: set[asyncio.Task[None]] = set()
        self._stopped = False
        self.calls: list[Call] = []
        """Those that have ended, in the order of their ends."""

    @property
    def under_way(self) -> int:
        """Calls that have not ended."""
        return len(self._under_way)

    def stop(self) -> None:
        """Begins no further calls."""
        self._stopped = True

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
            await self._wait(moment)
            if self._stopped:
                break
            task = asyncio.create_task(self._one(moment))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def drain(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - of all calls
        """Waits until all that was begun has ended, or for so many seconds."""
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=timeout)

    async def _one(self, moment: float) -> None:
        self.calls.append(await self._call(moment))
