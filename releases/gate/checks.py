"""The checks of a gate: each compares one figure of two releases, and has one of three results."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from evaluation.metrics.noninferiority import (
    ALPHA,
    POWER,
    Pairs,
    fewest,
    interval,
    needed,
    worse,
)
from evaluation.metrics.significance import difference
from pipelines.gate_verdict import Result
from releases.gate.answers import Part

Metric = Callable[[NDArray[np.int64]], float | None]
"""A figure of the photos with these indices, with repetitions; None where they define none."""


class Check(Part):
    """One figure of both releases.

    Attributes:
        column: Of the labels, where it is of a subgroup; "" otherwise.
        group: The subgroup's value.
        unit: What `of` counts.
        difference: Candidate minus current; of a `ratio`, candidate divided by current.
        low: Lower end of its interval, as `high` the upper one; None where none is defined.
        limit: How far the difference may go: a fall of that much (negative), a rise, or a factor.
        of: How many photos or objects it is over.
        still_needed: How many more would do; 0 unless there is not enough evidence.
        reason: Why it is not passed; "" where it is.
    """

    name: str
    column: str = ""
    group: str = ""
    unit: str
    ratio: bool = False
    current: float | None
    candidate: float | None
    difference: float | None
    low: float | None
    high: float | None
    limit: float | None
    of: int
    lost: int | None = None
    gained: int | None = None
    result: Result
    still_needed: int = 0
    reason: str = ""

    @property
    def title(self) -> str:
        """The figure, and the subgroup."""
        return f"{self.name}, {self.column} {self.group or '(empty)'}" if self.column else self.name


def share_kept(
    name: str,
    unit: str,
    current: NDArray[np.bool_],
    candidate: NDArray[np.bool_],
    margin: float,
) -> Check:
    """That the share of right answers does not fall by more than the margin.

    Args:
        name: Of the share.
        unit: What it is a share of.
        current: BOOL [N], whether the current release is right; no photo twice.
        candidate: Of the same photos in the same order.
        margin: Above 0.
    """
    counted = _pairs(current, candidate)
    if not counted.of:
        return _of_pairs(name, unit, current, candidate, margin).model_copy(
            update={
                "result": Result.NOT_ENOUGH_EVIDENCE,
                "still_needed": fewest(margin),
                "reason": f"{name}: the canary set has no {unit}",
            }
        )
    checked = _of_pairs(name, unit, current, candidate, margin)
    low = checked.low if checked.low is not None else -1.0
    if low > -margin and counted.of >= fewest(margin):
        return checked
    p = worse(counted)
    if p <= ALPHA and low <= -margin:
        return checked.model_copy(
            update={
                "result": Result.FAIL,
                "reason": f"{name} is worse: of {counted.of} {unit} {counted.lost} were lost and "
                f"{counted.gained} gained (McNemar's exact test, p = {p:.2g}); a fall of "
                f"{_points(margin)} is allowed",
            }
        )
    more = max(1, needed(counted, margin) - counted.of)
    return checked.model_copy(
        update={
            "result": Result.NOT_ENOUGH_EVIDENCE,
            "still_needed": more,
            "reason": _too_few(name, unit, counted.of, low, margin, more),
        }
    )


def subgroup(
    whole: Check,
    column: str,
    group: str,
    current: NDArray[np.bool_],
    candidate: NDArray[np.bool_],
    *,
    at_least: int,
    judged: int,
) -> Check:
    """That a share is not shown to fall in a subgroup; a small subgroup is shown and not judged.

    Args:
        whole: The same share of all photos.
        column: Of the labels.
        group: The subgroup's value.
        current: As of `share_kept`, of the subgroup.
        candidate: Likewise.
        at_least: How many photos a subgroup needs to be judged.
        judged: How many subgroups are judged; each has its part of the error that all may have.
    """
    margin = -(whole.limit or 0.0)
    checked = _of_pairs(whole.name, whole.unit, current, candidate, margin).model_copy(
        update={"column": column, "group": group, "result": Result.SHOWN}
    )
    counted = _pairs(current, candidate)
    if counted.of < at_least:
        return checked
    p, low = worse(counted), checked.low
    if p <= ALPHA / judged and low is not None and low <= -margin:
        return checked.model_copy(
            update={
                "result": Result.FAIL,
                "reason": f"{checked.title}: is worse: of {counted.of} {whole.unit} {counted.lost} "
                f"were lost and {counted.gained} gained (McNemar's exact test, p = {p:.2g}, with "
                f"{judged} subgroups judged)",
            }
        )
    return checked.model_copy(update={"result": Result.PASS})


def figure_kept(
    name: str,
    unit: str,
    current: Metric,
    candidate: Metric,
    *,
    photos: int,
    of: int,
    margin: float,
) -> Check:
    """That a figure does not fall by more than the margin, by a paired bootstrap over the photos.

    Args:
        name: Of the figure.
        unit: What `of` counts.
        current: The figure of the current release.
        candidate: Of the candidate.
        photos: How many there are.
        of: How many objects they have; too few never pass, as of `fewest`.
        margin: Above 0.
    """
    checked, low, high = _of_metrics(name, unit, current, candidate, photos=photos, of=of)
    checked = checked.model_copy(update={"limit": -margin})
    value = checked.difference
    if value is None or low is None or high is None:
        return checked.model_copy(
            update={
                "result": Result.NOT_ENOUGH_EVIDENCE,
                "still_needed": max(1, fewest(margin) - of),
                "reason": f"{name}: the canary set does not define it: it needs {unit}",
            }
        )
    if low > -margin and of >= fewest(margin):
        return checked
    if high < 0 and low <= -margin:
        return checked.model_copy(
            update={
                "result": Result.FAIL,
                "reason": f"{name} is worse by {_points(-value)} (by {_points(-high)} at least); a "
                f"fall of {_points(margin)} is allowed",
            }
        )
    # The interval narrows with the root of their number.
    quantile = float(norm.ppf(1 - ALPHA))
    error = (value - low) / quantile
    assumed = min(0.0, max(value, -margin / 2))
    enough = of * (error * (quantile + float(norm.ppf(POWER))) / (margin + assumed)) ** 2
    more = max(1, fewest(margin) - of, math.ceil(enough) - of)
    return checked.model_copy(
        update={
            "result": Result.NOT_ENOUGH_EVIDENCE,
            "still_needed": more,
            "reason": _too_few(name, unit, of, low, margin, more),
        }
    )


def figure_of_subgroup(
    whole: Check,
    column: str,
    group: str,
    current: Metric,
    candidate: Metric,
    *,
    photos: int,
    of: int,
    at_least: int,
    judged: int,
) -> Check:
    """As `subgroup`, of a figure that a paired bootstrap compares."""
    alpha = ALPHA / judged if of >= at_least else ALPHA
    checked, low, high = _of_metrics(
        whole.name, whole.unit, current, candidate, photos=photos, of=of, alpha=alpha
    )
    margin = -(whole.limit or 0.0)
    checked = checked.model_copy(
        update={"column": column, "group": group, "limit": -margin, "result": Result.SHOWN}
    )
    if of < at_least or low is None or high is None:
        return checked
    if high < 0 and low <= -margin:
        return checked.model_copy(
            update={
                "result": Result.FAIL,
                "reason": f"{checked.title}: is worse by {_points(-high)} at least, with {judged} "
                "subgroups judged",
            }
        )
    return checked.model_copy(update={"result": Result.PASS})


def rise_bounded(
    name: str, unit: str, current: Metric, candidate: Metric, *, photos: int, limit: float
) -> Check:
    """That a figure is not shown to rise by more than a limit, by a paired bootstrap."""
    checked, low, _ = _of_metrics(name, unit, current, candidate, photos=photos, of=photos)
    checked = checked.model_copy(update={"limit": limit})
    if low is None:
        return checked.model_copy(update={"result": Result.SHOWN})
    if low > limit:
        return checked.model_copy(
            update={
                "result": Result.FAIL,
                "reason": f"{name} rises by {low:.3f} at least; {limit:g} is allowed",
            }
        )
    return checked


def lost(name: str, unit: str, of: int) -> Check:
    """That the candidate does not judge at all what the current release judges."""
    return Check(
        name=name, unit=unit, current=None, candidate=None, difference=None, low=None, high=None,
        limit=None, of=of, result=Result.FAIL,
        reason=f"{name}: the current release judges it and the candidate does not: give the "
        "candidate a reference (python -m export PIPELINE --reference DIR)",
    )  # fmt: skip


def factor_bounded(
    name: str,
    unit: str,
    figure: Callable[[NDArray[np.float64]], float],
    current: NDArray[np.float64],
    candidate: NDArray[np.float64],
    *,
    limit: float,
) -> Check:
    """That a figure of times is not shown to grow by more than a factor, by a paired bootstrap.

    Args:
        name: Of the figure.
        unit: What there are times of.
        figure: Such as the median.
        current: FP64 [N], in milliseconds, of answered photos.
        candidate: Of the same photos.
        limit: The factor, above 1.
    """
    blank = Check(
        name=name, unit=unit, ratio=True, current=None, candidate=None, difference=None, low=None,
        high=None, limit=limit, of=len(current), result=Result.SHOWN,
    )  # fmt: skip
    if not len(current) or figure(current) <= 0 or figure(candidate) <= 0:
        return blank
    found = difference(
        lambda drawn: (_log(figure(current[drawn])), _log(figure(candidate[drawn]))), len(current)
    )
    if found is None or found.low is None or found.high is None:
        return blank
    low = math.exp(found.low)
    slower = low > limit
    return blank.model_copy(
        update={
            "current": figure(current),
            "candidate": figure(candidate),
            "difference": math.exp(found.value),
            "low": low,
            "high": math.exp(found.high),
            "result": Result.FAIL if slower else Result.PASS,
            "reason": f"{name}: {math.exp(found.value):.1f} times the current release's "
            f"({low:.1f} at least); {limit:g} times are allowed"
            if slower
            else "",
        }
    )


def _log(value: float) -> float | None:
    return math.log(value) if value > 0 else None


def _pairs(current: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> Pairs:
    return Pairs(
        lost=int((current & ~candidate).sum()),
        gained=int((candidate & ~current).sum()),
        of=len(current),
    )


def _of_pairs(
    name: str,
    unit: str,
    current: NDArray[np.bool_],
    candidate: NDArray[np.bool_],
    margin: float,
) -> Check:
    counted = _pairs(current, candidate)
    found = interval(counted) if counted.of else None
    return Check(
        name=name,
        unit=unit,
        current=float(current.mean()) if counted.of else None,
        candidate=float(candidate.mean()) if counted.of else None,
        difference=None if found is None else found.value,
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        limit=-margin,
        of=counted.of,
        lost=counted.lost,
        gained=counted.gained,
        result=Result.PASS,
    )


def _of_metrics(
    name: str,
    unit: str,
    current: Metric,
    candidate: Metric,
    *,
    photos: int,
    of: int,
    alpha: float = ALPHA,
) -> tuple[Check, float | None, float | None]:
    found = difference(lambda drawn: (current(drawn), candidate(drawn)), photos, alpha=alpha)
    every = np.arange(photos)
    low = None if found is None else found.low
    high = None if found is None else found.high
    checked = Check(
        name=name,
        unit=unit,
        current=current(every) if photos else None,
        candidate=candidate(every) if photos else None,
        difference=None if found is None else found.value,
        low=low,
        high=high,
        limit=None,
        of=of,
        result=Result.PASS,
    )
    return checked, low, high


def _too_few(  # noqa: PLR0917 - the parts of one sentence
    name: str, unit: str, of: int, low: float, margin: float, more: int
) -> str:
    seen = f"it may fall by {_points(-low)}" if low <= -margin else "too few show anything"
    return (
        f"{name}: {of} {unit} do not show that it falls by less than {_points(margin)} ({seen}): "
        f"about {more} more are needed"
    )


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
