"""Finds a service's capacity by increasing the arrival rate step by step."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.load.open_loop import OpenLoop
from lab.overload.calls import ComparedRequests
from lab.overload.resources import Resources
from loadtest import arrivals
from loadtest.study import End

_FIRST_STEP, _STEP_FACTOR, _MOST_STEPS = 0.6, 1.3, 12
_GAIN = 1.03
"""A step that brings less than this over the best one so far brings nothing."""
_FRUITLESS_STEPS = 2

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """Requests a second that arrived, and that were answered until the last answer.

    Attributes:
        per_core_second: Answers for each second of processor time that the service got: what is
            left of the goodput's ups and downs where others load the machine as well.
    """

    offered: float
    goodput: float
    refused: int
    per_core_second: float | None


async def step_up(
    requests: ComparedRequests,
    resources: Resources | None,
    one_at_a_time: float,
    seconds: float,
    say: Say,
) -> list[Step]:
    """Lets more and more arrive, until more brings nothing.

    Args:
        requests: What is asked.
        resources: The service's processes, if they are known.
        one_at_a_time: Requests a second of one caller who waits for each answer.
        seconds: How long each step lasts; then its last answers are waited for.
        say: Tells how far it is.
    """
    rate, best, fruitless = _FIRST_STEP * one_at_a_time, 0.0, 0
    steps: list[Step] = []
    for _ in range(_MOST_STEPS):
        step = await _step(requests, resources, rate, seconds)
        steps.append(step)
        say(f"step: {step.offered:.1f}/s arrive, {step.goodput:.1f}/s are answered")
        fruitless = 0 if step.goodput > best * _GAIN else fruitless + 1
        if fruitless == _FRUITLESS_STEPS:
            break
        best = max(best, step.goodput)
        rate *= _STEP_FACTOR
    return steps


async def _step(
    requests: ComparedRequests, resources: Resources | None, rate: float, seconds: float
) -> Step:
    flood, start = OpenLoop(requests.call), time.perf_counter()
    busy = resources.look().busy if resources else 0.0
    await flood.run(arrivals.constant(rate), seconds)
    await flood.drain()
    ends = [call.ended for call in flood.calls if call.end is End.ANSWERED]
    refused = sum(call.end is End.REPORTED for call in flood.calls)
    worked = resources.look().busy - busy if resources else 0.0
    goodput = len(ends) / (max(ends) - start) if ends else 0.0
    return Step(rate, goodput, refused, len(ends) / worked if worked else None)
