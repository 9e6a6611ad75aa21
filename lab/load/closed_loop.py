"""A closed loop: N workers, each of which sends its next request when the last is answered."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lab.load.client import Client, RequestError

TOLERANCE = 1e-3
"""Largest difference of a probability from the reference."""


@dataclass
class LoopResult:
    """What came back of one loop. All of it was answered when the loop ended."""

    seconds: float = 0.0
    """From the first request to the last answer."""
    cpu_seconds: float = 0.0
    """The generator's own, user and system."""
    latencies: list[float] = field(default_factory=list)
    """Seconds of each request that was answered."""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    """Photo and answer."""
    errors: Counter[str] = field(default_factory=Counter)


async def loop(
    client: Client, photos: int, concurrency: int, *, seconds: float = 0.0, fewest: int = 0
) -> LoopResult:
    """Asks about the photos in turn until time is up, then waits for what is under way.

    The work that was begun is finished, so that the server's CPU time belongs to these
    requests and to no others.

    Args:
        client: opened for as many workers.
        photos: how many there are.
        concurrency: workers.
        seconds: after which nothing more is asked.
        fewest: requests that are asked however long they take.
    """
    result, asked = LoopResult(), 0
    cpu, start = time.process_time(), time.perf_counter()

    async def work(worker: int) -> None:
        nonlocal asked
        while asked < fewest or time.perf_counter() - start < seconds:
            photo, asked = asked % photos, asked + 1
            begun = time.perf_counter()
            try:
                answer = await client.ask(worker, photo)
            except RequestError as error:
                result.errors[str(error)] += 1
                # A server that refuses at once is not asked in a busy loop.
                await asyncio.sleep(0.05)
                continue
            result.latencies.append(time.perf_counter() - begun)
            result.answers.append((photo, answer))

    async with asyncio.TaskGroup() as workers:
        for worker in range(concurrency):
            workers.create_task(work(worker))
    result.seconds = time.perf_counter() - start
    result.cpu_seconds = time.process_time() - cpu
    return result


def differences(
    client: Client, result: LoopResult, reference: Sequence[Sequence[float]]
) -> list[float]:
    """How far each answer's probabilities lie from the reference; infinite where it has none."""
    return [difference(client, answer, reference[photo]) for photo, answer in result.answers]


def difference(client: Client, answer: bytes, expected: Sequence[float]) -> float:
    """How far one answer's probabilities lie from those expected; infinite where it has none."""
    try:
        found = np.array(client.probabilities(answer))
        apart = float(np.abs(found - np.array(expected)).max())
    except (ValueError, KeyError, TypeError):
        return float("inf")
    return apart if np.isfinite(apart) else float("inf")
