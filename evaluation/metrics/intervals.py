"""Proportions with their confidence intervals."""

from dataclasses import dataclass

from scipy.stats import binomtest

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Share:
    """A share of counted things, each number in [0, 1].

    Attributes:
        value: `count / of`.
        low: Lower end of the 95 % confidence interval.
        high: Its upper end.
    """

    value: float
    low: float
    high: float
    count: int
    of: int


def share(count: int, of: int) -> Share | None:
    """A share with Wilson's score interval, which also holds near 0 and 1; None where `of` is 0.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    if of == 0:
        return None
    interval = binomtest(count, of).proportion_ci(CONFIDENCE, method="wilson")
    return Share(count / of, float(interval.low), float(interval.high), count, of)
