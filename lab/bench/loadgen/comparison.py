"""Compares two load generators: their schedules, and their percentiles of the same arrivals."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PERCENTILES = (50, 90, 99)
STANDARD_ERRORS = 3.0
"""By which the figures of two schedules may differ."""
LATENCY_WITHIN = 0.05
"""Share by which percentiles of the same arrivals may differ, beside `LATENCY_MS`."""
LATENCY_MS = 1.5
"""Two processes on one machine wake up at other moments."""


@dataclass(frozen=True)
class Compared:
    """One figure of LoadGen and ours."""

    name: str
    loadgen: float
    ours: float
    allowed: float
    """Difference."""

    @property
    def agrees(self) -> bool:
        """Whether they are no further apart than allowed."""
        return abs(self.loadgen - self.ours) <= self.allowed


def schedules(theirs: Sequence[float], ours: Sequence[float]) -> list[Compared]:
    """Figures of the gaps between arrivals, in seconds.

    A Poisson process has gaps whose deviation equals their mean, of which 1/e lie beyond it, and
    none of which tells anything of the next one.
    """
    # Each of these figures of n gaps has an error of about 1 / sqrt(n) of it.
    within = STANDARD_ERRORS * math.sqrt(1 / len(theirs) + 1 / len(ours))
    return [
        Compared(name, figure(theirs), figure(ours), within * unit)
        for name, figure, unit in (
            ("arrivals a second", _rate, _rate(theirs)),
            ("deviation of the gaps, of their mean", _variation, 1.0),
            ("gaps longer than their mean", _beyond, _beyond(theirs)),
            ("correlation of neighbouring gaps", _memory, 1.0),
        )
    ]


def percentiles(theirs_ms: dict[int, float], ours: Sequence[float], what: str) -> list[Compared]:
    """Percentiles in milliseconds.

    Args:
        theirs_ms: as LoadGen's summary has them.
        ours: latencies in seconds.
        what: of which requests.
    """
    return [
        Compared(
            f"{what}: {percentile}th percentile, ms",
            theirs_ms[percentile],
            1000 * float(np.quantile(ours, percentile / 100)),
            LATENCY_WITHIN * theirs_ms[percentile] + LATENCY_MS,
        )
        for percentile in PERCENTILES
    ]


def _rate(gaps: Sequence[float]) -> float:
    return 1 / statistics.fmean(gaps)


def _variation(gaps: Sequence[float]) -> float:
    return statistics.stdev(gaps) / statistics.fmean(gaps)


def _beyond(gaps: Sequence[float]) -> float:
    mean = statistics.fmean(gaps)
    return sum(gap > mean for gap in gaps) / len(gaps)


def _memory(gaps: Sequence[float]) -> float:
    return statistics.correlation(gaps[:-1], gaps[1:])
