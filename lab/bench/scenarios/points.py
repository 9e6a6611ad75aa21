"""Computes a point's figures from what became of each request."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.bench.scenarios.raw import Point, Scenario
from lab.load.scheduled import End

MISSES = 0.01
"""Share of the requests that may miss the bound: a 99th percentile within it."""
LAG = 0.1
"""A generator lags where the 99th percentile of its lateness is above this share of the bound."""


def allowed_misses(requests: int) -> int:
    """How many of the requests may take longer than the bound, or get no right answer."""
    return int(requests * MISSES)


def point(
    found: Mapping[str, Any],
    *,
    scenario: Scenario,
    round_: int,
    contender: str,
    workload: str,
    rate: float,
    bound: float,
    cpu_seconds: float,
) -> Point:
    """The figures of one schedule.

    Args:
        found: what `lab.load` said of it.
        scenario: in which it was sent.
        round_: of the run.
        contender: who was asked.
        workload: about what.
        rate: arrivals a second, as asked for.
        bound: seconds within which an answer counts.
        cpu_seconds: of the contender meanwhile.
    """
    took, late = np.array(found["took"]), np.array(found["late"])
    end = np.array(found["end"])
    answers = took[end == End.ANSWERED]
    refusals = took[end == End.REFUSED]
    late_p99 = _quantile(late, 0.99) or 0.0
    return Point(
        scenario=scenario,
        round=round_,
        contender=contender,
        workload=workload,
        rate=rate,
        bound_ms=bound * 1000,
        seconds=max(found["due"], default=0.0),
        arrived=len(took),
        within=int(np.count_nonzero(answers <= bound)),
        answered=len(answers),
        wrong=_count(end, End.WRONG),
        refused=len(refusals),
        failed=_count(end, End.FAILED),
        unsent=_count(end, End.UNSENT),
        reason=found["reason"],
        stopped=found["stopped"],
        p50_ms=_ms(_quantile(answers, 0.5)),
        p90_ms=_ms(_quantile(answers, 0.9)),
        p99_ms=_ms(_quantile(answers, 0.99)),
        refusal_p50_ms=_ms(_quantile(refusals, 0.5)),
        refusal_p99_ms=_ms(_quantile(refusals, 0.99)),
        late_p99_ms=1000 * late_p99,
        late_most_ms=1000 * float(late.max(initial=0.0)),
        lagged=late_p99 > LAG * bound or _count(end, End.UNSENT) > 0,
        cpu_seconds=cpu_seconds,
        generator_cpu_seconds=found["generator_cpu_seconds"],
    )


def holds(tried: Point) -> bool:
    """Whether 99 of 100 requests got a right answer within the bound, to the end."""
    return not tried.stopped and tried.arrived - tried.within <= allowed_misses(tried.arrived)


def goodput(tried: Point) -> float:
    """Right answers within the bound, a second of the time for which requests arrived."""
    return tried.within / tried.seconds


def refused_share(tried: Point) -> float:
    """Of all requests that arrived."""
    return tried.refused / tried.arrived


def _count(ends: Sequence[str] | NDArray[Any], end: End) -> int:
    return int(np.count_nonzero(np.asarray(ends) == end))


def _quantile(values: NDArray[np.float64], share: float) -> float | None:
    return float(np.quantile(values, share)) if len(values) else None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
