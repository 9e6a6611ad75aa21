"""Whether a second model is not worse than a first one by more than a margin, on the same photos.

Sources: T. Tango, Equivalence test and confidence interval for the difference in proportions for
the paired-sample design, Statistics in Medicine 17, 1998, for the score test and its interval;
Q. McNemar, Note on the sampling error of the difference between correlated proportions, 1947,
exact by the binomial distribution; J. Nam, Establishing equivalence of two treatments and sample
size requirements in matched-pairs design, Biometrics 53, 1997, for the number of pairs.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binomtest, norm

ALPHA = 0.025
"""Of each one-sided test: the share of candidates at the margin that pass, at most."""
POWER = 0.8
"""How often a candidate that is as good as the current release passes, with the pairs stated."""


@dataclass(frozen=True)
class Pairs:
    """Photos on which two models were asked, by which of them is right.

    Attributes:
        lost: Only the first is right.
        gained: Only the second is right.
        of: All photos.
    """

    lost: int
    gained: int
    of: int

    @property
    def difference(self) -> float:
        """Share that the second has right minus that of the first, -1 to 1; NaN without photos."""
        return (self.gained - self.lost) / self.of if self.of else math.nan


@dataclass(frozen=True)
class Interval:
    """A difference, and the ends of its interval of 1 - 2 alpha; each -1 to 1."""

    value: float
    low: float
    high: float


def pairs(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Pairs:
    """Counts which answers are right, BOOL [N] each, of the same photos in the same order."""
    return Pairs(int((first & ~second).sum()), int((second & ~first).sum()), len(first))


def score(counted: Pairs, difference: float) -> float:
    """Tango's score statistic of a difference: standard normal where it is the true one.

    Args:
        counted: At least one photo.
        difference: Second minus first, above -1 and below 1.
    """
    n, gained, lost = counted.of, counted.gained, counted.lost
    # `lost_share` is the most likely share of photos that only the first has right, given the
    # difference: the root of a quadratic equation (Tango, 1998, equation 5).
    linear = -gained - lost + (2 * n - gained + lost) * difference
    constant = -lost * difference * (1 - difference)
    root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
    lost_share = max((root - linear) / (4 * n), 0.0)
    variance = n * (2 * lost_share + difference * (1 - difference))
    distance = gained - lost - n * difference
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def interval(counted: Pairs, alpha: float = ALPHA) -> Interval:
    """The differences that Tango's test does not reject: an interval of 1 - 2 alpha.

    Raises:
        ValueError: There are no photos.
    """
    if not counted.of:
        raise ValueError("there are no photos")
    quantile = float(norm.ppf(1 - alpha))
    edge = 1 - 1e-9
    value = counted.difference

    def end(sign: float, limit: float) -> float:
        # The statistic falls as the difference rises: one end of the interval on each side.
        if sign * score(counted, limit) < quantile:
            return limit
        inner = value - sign * 1e-12
        return float(brentq(lambda at: sign * score(counted, at) - quantile, limit, inner))

    low = end(1, -edge) if value > -edge else -1.0
    high = end(-1, edge) if value < edge else 1.0
    return Interval(value, low, high)


def worse(counted: Pairs) -> float:
    """One-sided p of McNemar's exact test that the second is no worse than the first."""
    split = counted.lost + counted.gained
    return float(binomtest(counted.lost, split, alternative="greater").pvalue) if split else 1.0


def fewest(margin: float, alpha: float = ALPHA) -> int:
    """The photos below which not even two models that always agree can be told from the margin.

    If a share `margin` of photos were lost, as many photos without a loss would be seen with
    probability (1 - margin) ** n: n is the least for which that is alpha or less.
    """
    return math.ceil(math.log(alpha) / math.log1p(-margin))


def needed(counted: Pairs, margin: float, alpha: float = ALPHA, power: float = POWER) -> int:
    """How many photos would do, if the two go on to differ on as large a share of them.

    The second is taken to be as good as the first or, where it lost some, worse by what was seen,
    but by no more than half the margin. With that many it passes with the probability `power`
    (Nam, 1997, by the normal approximation).
    """
    # One photo more of each kind: that none was lost yet does not say that none will be.
    apart = (counted.lost + counted.gained + 1) / (counted.of + 2)
    seen = counted.difference if counted.of else 0.0
    assumed = min(0.0, max(seen, -margin / 2))
    quantiles = float(norm.ppf(1 - alpha) + norm.ppf(power))
    enough = quantiles**2 * max(apart - assumed**2, 0.0) / (margin + assumed) ** 2
    return max(fewest(margin, alpha), math.ceil(enough))
