"""Compares two settings by alternating requests, so that other load affects both alike."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from lab.load.measurement import Measured, measure
from lab.service.service import Service

_WARM = 8


@dataclass(frozen=True)
class Pair:
    """Both under one load, one directly after the other."""

    callers: int
    before: Measured
    after: Measured

    @property
    def gain(self) -> float:
        """Images a second of the second, as a multiple of the first's."""
        return self.after.rate / self.before.rate if self.before.rate else float("inf")


@dataclass(frozen=True)
class Level:
    """All pairs under one number of callers."""

    callers: int
    pairs: tuple[Pair, ...]

    @property
    def gain(self) -> float:
        """The median of the pairs'."""
        return statistics.median(pair.gain for pair in self.pairs)

    @property
    def smallest(self) -> float:
        """Of all pairs."""
        return min(pair.gain for pair in self.pairs)

    @property
    def largest(self) -> float:
        """Of all pairs."""
        return max(pair.gain for pair in self.pairs)

    @property
    def verdict(self) -> str:
        """`gain` or `loss` where every pair says so; by chance, n do once in 2^(n-1) times."""
        if self.smallest > 1:
            return "gain"
        return "loss" if self.largest < 1 else "no significant difference"


def compare(
    before: Service,
    after: Service,
    requests: Sequence[bytes],
    *,
    callers: Sequence[int],
    seconds: float,
    rounds: int,
    first: int = 0,
) -> list[Level]:
    """Asks both in turn, and changes who is first from pair to pair.

    Args:
        before: a running service.
        after: another one.
        requests: whole HTTP requests, of one photo each.
        callers: loads to compare under.
        seconds: of each.
        rounds: pairs of each load.
        first: number of the first round, for the order.
    """
    for service in (before, after):
        measure(service, requests, concurrency=_WARM, seconds=0, warm=_WARM, memory=False)
    pairs: dict[int, list[Pair]] = {level: [] for level in callers}
    for round_ in range(first, first + rounds):
        for turn, level in enumerate(callers):
            both = (before, after) if (round_ + turn) % 2 == 0 else (after, before)
            asked = {
                service: measure(
                    service,
                    requests,
                    concurrency=level,
                    seconds=seconds,
                    fewest=level,
                    memory=False,
                )
                for service in both
            }
            pairs[level].append(Pair(level, asked[before], asked[after]))
    return [Level(level, tuple(found)) for level, found in pairs.items()]
