"""Finds the highest rate of arrivals at which a condition holds, by bisection."""

import math
from collections.abc import Callable

RESOLUTION = 0.05
"""The rate that is found held, and one higher by this share at most did not."""
_STEP = 1.5
"""Factor between two rates that are tried before one held and one did not."""
_MOST_STEPS = 8
"""Of these: the lowest rate tried is about a twenty-fifth of the first one."""


def highest_rate(
    holds: Callable[[float], bool], first: float, resolution: float = RESOLUTION
) -> float | None:
    """The highest rate found at which the condition held; None where it held at none.

    From the first rate it goes up or down by half as much again until one rate held and another
    one did not; then it halves the ratio of the two (the logarithm of it) until they are as close
    as asked.

    Args:
        holds: tries a rate, in 1/s.
        first: rate that is tried, in 1/s.
        resolution: as `RESOLUTION`.
    """
    low: float | None = None
    high: float | None = None
    rate = first
    for _ in range(_MOST_STEPS):
        if holds(rate):
            low, rate = rate, rate * _STEP
        else:
            high, rate = rate, rate / _STEP
        if low is not None and high is not None:
            break
    if low is None or high is None:
        return low
    while high / low > 1 + resolution:
        middle = math.sqrt(low * high)
        if holds(middle):
            low = middle
        else:
            high = middle
    return low
