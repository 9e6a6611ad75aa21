"""Compares two load generators: their schedules, and their percentiles of the same arrivals."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PERCENTILES = (50, 90, 99)
SCHEDULE_WITHIN = 0.06
"""Share by which the figures of two schedules of some thousand arrivals may differ."""
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
    found = []
    for name, figure, allowed in (
        ("arrivals a second", _rate, SCHEDULE_WITHIN * _rate(theirs)),
        ("deviation of the gaps, of their mean", _variation, SCHEDULE_WITHIN),
        ("gaps longer than their mean", _beyond, SCHEDULE_WITHIN * _beyond(theirs)),
        ("correlation of neighbouring gaps", _memory, SCHEDULE_WITHIN),
    ):
        found.append(Compared(name, figure(theirs), figure(ours), allowed))
    return found


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
