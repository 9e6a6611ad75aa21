"""The steps of an overload run: unloaded, increase to capacity, three times capacity, recovery."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from lab.load.open_loop import OpenLoop
from lab.overload.calls import Call, ComparedRequests
from lab.overload.capacity import Say, Step, step_up
from lab.overload.resources import Resources, Sample
from loadtest import arrivals
from loadtest.study import End

FACTOR = 3.0
"""Times the peak goodput that arrives in the overload."""
SETTLED = 1.5
"""The service has recovered where its median is back within so many unloaded ones,"""
SETTLED_ASKS = 5
"""over so many requests in a row, one at a time."""
_UNLOADED_ASKS = 15
_RECOVERY_SECONDS = 180.0
_REFUSED_PAUSE = 0.1


@dataclass(slots=True)
class Record:
    """All that was seen; moments on `time.perf_counter`.

    Attributes:
        unloaded: Seconds of single requests.
        recovery: Requests one at a time from `stopped` on, until they were fast again.
        ready: Moments of the polls of /readyz, and whether it said 200.
    """

    unloaded: list[float] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    offered: float = 0.0
    started: float = 0.0
    stopped: float = 0.0
    calls: list[Call] = field(default_factory=list)
    recovery: list[Call] = field(default_factory=list)
    ready: list[tuple[float, bool]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    @property
    def peak(self) -> float:
        """The best goodput of all steps, in 1/s."""
        return max(step.goodput for step in self.steps)


async def experiment(
    requests: ComparedRequests,
    resources: Resources | None,
    seconds: float,
    step_seconds: float,
    say: Say,
) -> Record:
    """Runs all of it.

    Raises:
        LoadtestError: the unloaded service gives no right answer.
    """
    record = Record()
    await requests.learn()
    record.unloaded = [(await requests.call()).seconds for _ in range(_UNLOADED_ASKS)]
    one_at_a_time = 1 / statistics.median(record.unloaded)
    record.steps = await step_up(requests, resources, one_at_a_time, step_seconds, say)
    record.offered = FACTOR * record.peak
    say(f"overload: {record.offered:.1f}/s for {seconds:g} s")
    watches = [asyncio.create_task(_poll(requests, record.ready))]
    if resources:
        resources.samples = record.samples
        watches.append(asyncio.create_task(resources.watch()))
    flood = OpenLoop(requests.call)
    record.started = time.perf_counter()
    await flood.run(arrivals.constant(record.offered), seconds)
    record.stopped = time.perf_counter()
    record.recovery = await _recover(requests, statistics.median(record.unloaded))
    await flood.drain()
    for watch in watches:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
    record.calls = flood.calls
    return record


async def _poll(requests: ComparedRequests, polls: list[tuple[float, bool]]) -> None:
    while True:
        polls.append((time.perf_counter(), await requests.ready()))
        await asyncio.sleep(1)


async def _recover(requests: ComparedRequests, unloaded: float) -> list[Call]:
    """Asks one at a time until the last five are fast, or for three minutes."""
    calls: list[Call] = []
    give_up = time.perf_counter() + _RECOVERY_SECONDS
    while not settled(calls[-SETTLED_ASKS:], unloaded) and time.perf_counter() < give_up:
        calls.append(await requests.call())
        if calls[-1].end is not End.ANSWERED:
            await asyncio.sleep(_REFUSED_PAUSE)
    return calls


def settled(calls: Sequence[Call], unloaded: float) -> bool:
    """Whether these are five answers about as fast as unloaded ones, the first among them."""
    return (
        len(calls) == SETTLED_ASKS
        and all(call.end is End.ANSWERED for call in calls)
        and calls[0].seconds <= SETTLED * unloaded
        and statistics.median(call.seconds for call in calls) <= SETTLED * unloaded
    )
