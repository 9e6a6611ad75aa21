"""The arrival times of studies in an open loop, independent of earlier answers."""

import itertools
import random
from collections.abc import Iterator


def constant(rate: float) -> Iterator[float]:
    """Gaps in seconds between arrivals at a steady rate, in 1/s."""
    return itertools.repeat(1 / rate)


def poisson(rate: float, source: random.Random) -> Iterator[float]:
    """Gaps in seconds between arrivals of many independent senders, in 1/s together."""
    while True:
        yield source.expovariate(rate)


def intended(gaps: Iterator[float], start: float) -> Iterator[float]:
    """The moments of the arrivals, beginning at `start`."""
    return itertools.accumulate(gaps, initial=start)
