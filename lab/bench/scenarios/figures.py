"""Computes the tables' figures from the raw data of the scenarios: medians over the rounds."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lab.bench.scenarios.points import goodput
from lab.bench.scenarios.raw import Bound, Offline, Point, Raw, Scenario, Single

Fact = TypeVar("Fact", Single, Offline, Point)
BOUND_FACTOR = 5.0
"""Times the best contender's unloaded median."""


@dataclass(frozen=True)
class Figure:
    """A median over the rounds, and how far the rounds lie apart."""

    median: float
    spread: float
    """Largest less smallest, divided by the median; 0 where the median is."""

    @classmethod
    def of(cls, values: Iterable[float]) -> "Figure | None":
        """None of no values."""
        found = list(values)
        if not found:
            return None
        median = statistics.median(found)
        return cls(median, (max(found) - min(found)) / median if median else 0.0)


@dataclass(frozen=True)
class RatePoint:
    """A contender at one rate of the curve: medians over the rounds."""

    rate: float
    p50_ms: float | None
    p99_ms: float | None
    """Both of the right answers; None: there were none."""
    unanswered: float
    """Share of the requests without a right answer."""
    requests: int
    """In each round."""


@dataclass(frozen=True)
class Overloaded:
    """A contender at three times its Server rate."""

    rate: float
    goodput: Figure
    """Right answers within the bound, a second."""
    refused: float
    """Share of the requests."""
    failed: float
    """Share of the requests: lost, wrong, or an error."""
    refusal_p50_ms: float | None
    refusal_p99_ms: float | None


@dataclass(frozen=True)
class Row:
    """A contender in one workload; None where there is nothing of it."""

    name: str
    title: str
    protocol: str
    single_p50_ms: Figure | None
    single_p90_ms: Figure | None
    offline: Figure | None
    """Photos a second."""
    offline_ratio: Figure | None
    """Of the limit's rate just before and after."""
    server: Figure | None
    """Arrivals a second; 0 where the bound was kept at none in most rounds."""
    curve: tuple[RatePoint, ...]
    overload: Overloaded | None
    failures: tuple[str, ...]


def bound(singles: Sequence[Single], workload: str) -> Bound | None:
    """The bound of a workload: five times the unloaded median of its best contender."""
    medians = {
        name: statistics.median(each.p50_ms for each in own)
        for name, own in _by_contender(singles, workload).items()
    }
    if not medians:
        return None
    best = min(medians, key=lambda name: medians[name])
    return Bound(workload=workload, milliseconds=BOUND_FACTOR * medians[best], contender=best)


def server_rate(raw: Raw, workload: str, contender: str) -> Figure | None:
    """A contender's Server rate; a round in which it kept the bound at none counts as 0."""
    return Figure.of(
        each.rate or 0.0
        for each in raw.found
        if (each.workload, each.contender) == (workload, contender)
    )


def reference(raw: Raw, workload: str) -> tuple[str, float] | None:
    """The best peer and its Server rate; the best contender, where no peer was asked."""
    rates = {
        each.name: figure.median
        for each in raw.contenders
        if (figure := server_rate(raw, workload, each.name)) and figure.median
    }
    rates = {name: rate for name, rate in rates.items() if name in raw.peers} or rates
    return max(rates.items(), key=lambda item: item[1]) if rates else None


def rows(raw: Raw, workload: str) -> list[Row]:
    """The contenders that were asked, in the order of the lineup."""
    singles, offlines = (
        _by_contender(raw.singles, workload),
        _by_contender(raw.offlines, workload),
    )
    points = _by_contender((each for each in raw.points if not each.lagged), workload)
    found = []
    for contender in raw.contenders:
        name = contender.name
        sessions = [
            each for each in raw.sessions if (each.contender, each.workload) == (name, workload)
        ]
        if not sessions:
            continue
        own = points.get(name, [])
        found.append(
            Row(
                name=name,
                title=contender.title,
                protocol=contender.protocol,
                single_p50_ms=Figure.of(each.p50_ms for each in singles.get(name, [])),
                single_p90_ms=Figure.of(each.p90_ms for each in singles.get(name, [])),
                offline=Figure.of(each.rate for each in offlines.get(name, [])),
                offline_ratio=Figure.of(
                    each.rate / statistics.mean(limit.rate for limit in each.limits)
                    for each in offlines.get(name, [])
                ),
                server=server_rate(raw, workload, name),
                curve=_curve([each for each in own if each.scenario is Scenario.CURVE]),
                overload=_overloaded([each for each in own if each.scenario is Scenario.OVERLOAD]),
                failures=tuple(each.failed for each in sessions if each.failed),
            )
        )
    return found


def _by_contender(facts: Iterable[Fact], workload: str) -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.workload == workload:
            found.setdefault(fact.contender, []).append(fact)
    return found


def _curve(points: Sequence[Point]) -> tuple[RatePoint, ...]:
    rates = sorted({each.rate for each in points})
    return tuple(_rate_point([each for each in points if each.rate == rate]) for rate in rates)


def _rate_point(points: Sequence[Point]) -> RatePoint:
    return RatePoint(
        rate=points[0].rate,
        p50_ms=_median(each.p50_ms for each in points),
        p99_ms=_median(each.p99_ms for each in points),
        unanswered=statistics.median(1 - each.answered / each.arrived for each in points),
        requests=points[0].arrived,
    )


def _overloaded(points: Sequence[Point]) -> Overloaded | None:
    kept = Figure.of(goodput(each) for each in points)
    if kept is None:
        return None
    return Overloaded(
        rate=statistics.median(each.rate for each in points),
        goodput=kept,
        refused=statistics.median(each.refused / each.arrived for each in points),
        failed=statistics.median((each.failed + each.wrong) / each.arrived for each in points),
        refusal_p50_ms=_median(each.refusal_p50_ms for each in points),
        refusal_p99_ms=_median(each.refusal_p99_ms for each in points),
    )


def _median(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return statistics.median(found) if found else None
