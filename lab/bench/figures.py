"""Computes the tables' figures from raw data: medians over rounds, ratios within a round."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from lab.bench.raw import Cell, Limit, Raw
from lab.bench.workload import measure_of


@dataclass(frozen=True)
class Load:
    """A contender under one concurrency: medians over the rounds."""

    rate: float
    """Images a second, answered rightly."""
    ratio: float
    """Of the limit's rate just before and after."""
    spread: float
    """Largest less smallest rate of a round, divided by the median."""
    ratio_spread: float
    """The same of the ratio to the limit."""
    cpu_ms: float
    """CPU milliseconds an image, of the contender's process tree."""
    cpu_ratio: float
    """Multiple of the limit's CPU time just before and after."""
    p50_ms: float
    p99_ms: float
    images: int
    """In all rounds; the percentiles are of as many."""
    errors: int
    """In all rounds: refused, lost, or with wrong probabilities."""
    generator_ms: float
    """CPU milliseconds an image of the load generator, which took them from the contender."""


@dataclass(frozen=True)
class Row:
    """A contender in one workload."""

    name: str
    title: str
    protocol: str
    loads: dict[int, Load]
    """By concurrency; one is missing where nothing was answered."""
    pss_mib: float | None
    uss_mib: float | None
    cold_start: float | None
    """Seconds."""
    failures: tuple[str, ...]

    @property
    def spread(self) -> float:
        """Of the rate, the largest of all concurrencies."""
        return max((load.spread for load in self.loads.values()), default=0.0)

    @property
    def ratio_spread(self) -> float:
        """Of the ratio to the limit, the largest of all concurrencies."""
        return max((load.ratio_spread for load in self.loads.values()), default=0.0)


@dataclass(frozen=True)
class LimitRow:
    """The raw limit of one workload: medians over the rounds."""

    rate: float
    ratio: float
    """Of the limit that is the measure: 1, unless that is another workload's."""
    spread: float
    cpu_ms: float
    cpu_ratio: float
    shape: str
    """How the cores were used in most rounds, and the batch."""


def limits_by_round(raw: Raw, workload: str) -> dict[int, Limit]:
    """The better way of using the cores, in each round."""
    cells = [cell for cell in raw.limits if cell.workload == workload and cell.round >= 0]
    return {
        round_: max((cell for cell in cells if cell.round == round_), key=lambda cell: cell.rate)
        for round_ in sorted({cell.round for cell in cells})
    }


def limit_row(raw: Raw, workload: str) -> LimitRow:
    """The limit's row."""
    found, measure = limits_by_round(raw, workload), _measure(raw, workload)
    best = list(found.values())
    rates = [cell.rate for cell in best]
    shapes = [f"{cell.processes} x {cell.threads}, batch {cell.batch}" for cell in best]
    return LimitRow(
        rate=statistics.median(rates),
        ratio=statistics.median(cell.rate / measure[at].rate for at, cell in found.items()),
        spread=_spread(rates),
        cpu_ms=statistics.median(cell.cpu_ms for cell in best),
        cpu_ratio=statistics.median(cell.cpu_ms / measure[at].cpu_ms for at, cell in found.items()),
        shape=statistics.mode(shapes),
    )


def rows(raw: Raw, workload: str) -> list[Row]:
    """The contenders that were asked, in the order of the lineup."""
    found = []
    for contender in raw.contenders:
        sessions = [
            session
            for session in raw.sessions
            if session.contender == contender.name and workload in session.workloads
        ]
        cells = [
            cell
            for cell in raw.cells
            if cell.contender == contender.name and cell.workload == workload
        ]
        if not sessions:
            continue
        loads = {}
        for concurrency in raw.concurrency:
            same = [cell for cell in cells if cell.concurrency == concurrency]
            if any(cell.images for cell in same):
                loads[concurrency] = _load(same)
        found.append(
            Row(
                name=contender.name,
                title=contender.title,
                protocol=contender.protocol,
                loads=loads,
                pss_mib=max((cell.pss_mib for cell in cells), default=None),
                uss_mib=max((cell.uss_mib for cell in cells), default=None),
                cold_start=_median(
                    session.cold_start_seconds
                    for session in sessions
                    if session.cold_start_seconds is not None
                ),
                failures=tuple(session.failed for session in sessions if session.failed),
            )
        )
    return found


def _measure(raw: Raw, workload: str) -> dict[int, Limit]:
    """The limit that a workload's ratios are to: of another workload, where that was run too."""
    return limits_by_round(raw, measure_of(workload, raw.workloads))


def _load(cells: list[Cell]) -> Load:
    answered = [cell for cell in cells if cell.images]
    rates = [cell.rate for cell in answered]
    ratios = [cell.rate / statistics.mean(limit.rate for limit in cell.limits) for cell in answered]
    cpu = [(cell, 1000 * cell.cpu_seconds / cell.images) for cell in answered]
    return Load(
        rate=statistics.median(rates),
        ratio=statistics.median(ratios),
        spread=_spread(rates),
        ratio_spread=_spread(ratios),
        cpu_ms=statistics.median(ms for _, ms in cpu),
        cpu_ratio=statistics.median(
            ms / statistics.mean(limit.cpu_ms for limit in cell.limits) for cell, ms in cpu
        ),
        p50_ms=statistics.median(cell.p50_ms or 0.0 for cell in answered),
        p99_ms=statistics.median(cell.p99_ms or 0.0 for cell in answered),
        images=sum(cell.images for cell in cells),
        errors=sum(cell.errors + cell.wrong for cell in cells),
        generator_ms=statistics.median(
            1000 * cell.generator_cpu_seconds / cell.images for cell in answered
        ),
    )


def _spread(values: list[float]) -> float:
    return (max(values) - min(values)) / statistics.median(values)


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None
