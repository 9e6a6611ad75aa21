"""Statistical tests of whether two runs over the same photos differ by more than chance."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

RESAMPLES = 1000
_OUTSIDE = 10
"""Resamples outside the interval on each side, at least."""


@dataclass(frozen=True)
class McNemar:
    """Photos that exactly one of two runs has right, and the two-sided p of such a split.

    Q. McNemar, Note on the sampling error of the difference between correlated proportions,
    1947; exact, by the binomial distribution.
    """

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class Difference:
    """Second minus first; the interval (of 95 %, or as asked for) is None where few define it."""

    value: float
    low: float | None
    high: float | None


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Compares which answers are right, BOOL [N] each, of the same photos in the same order."""
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    split = only_first + only_second
    return McNemar(only_first, only_second, binomtest(only_first, split).pvalue if split else 1.0)


def difference(
    metric: Callable[[NDArray[np.int64]], tuple[float | None, float | None]],
    photos: int,
    seed: int = 0,
    alpha: float = 0.025,
) -> Difference | None:
    """The difference of a metric, with a paired percentile bootstrap over the photos.

    Args:
        metric: Takes indices of photos, with repetitions, and gives both runs' values.
        photos: How many there are.
        seed: The same seed draws the same resamples.
        alpha: What lies outside the interval on each side; a smaller one takes more resamples.

    Returns:
        None where the metric is not defined over all photos.
    """
    if not photos:
        return None
    first, second = metric(np.arange(photos))
    if first is None or second is None:
        return None
    random = np.random.default_rng(seed)
    drawn = []
    resamples = max(RESAMPLES, math.ceil(_OUTSIDE / alpha))
    for _ in range(resamples):
        one, other = metric(random.integers(photos, size=photos))
        if one is not None and other is not None:
            drawn.append(other - one)
    if len(drawn) < resamples / 2:
        return Difference(second - first, None, None)
    low, high = np.percentile(drawn, [100 * alpha, 100 * (1 - alpha)])
    return Difference(second - first, float(low), float(high))
