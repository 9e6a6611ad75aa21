"""Whether a release is worse than the former one, with a stated rate of false alarms.

Each figure has a highest value that the former release makes plausible: the upper end of an exact
confidence interval (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934), and of a time the same
for the median, by order statistics. To it the bound is added. The release is worse where so many
of its first n answers are beyond that as would be so with a small probability at most (a binomial
tail). It is asked at fixed numbers of answers and no others, so that looking often does not raise
the rate. The figures and looks divide the rate among them (Bonferroni), so it holds whatever
depends on what.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from database.live_figures import Figure, Samples

ALARMS = 0.01
"""Share of promotions of a release that is no worse than the bounds allow which are called worse,
at most."""
LOOKS = (20, 50, 100, 200, 500, 1000, 2000)
"""Answers of the new release at which each figure is judged."""
FEWEST_BEFORE = 100
"""Answers of the former release that a figure needs."""
BOUNDS: Mapping[Figure, float] = {
    Figure.REFUSED: 0.02,
    Figure.SECONDS: 1.5,
    Figure.UNCERTAIN: 0.1,
    Figure.ATYPICAL: 0.05,
    Figure.CORRECTED: 0.05,
}
"""How much higher a share may be; of the seconds, as a multiple of the former median."""
_OF_A_FIGURE = ALARMS / len(Figure)
_BEFORE = _OF_A_FIGURE / 2
"""Probability that the former release's interval does not hold its true value."""
_OF_A_LOOK = _OF_A_FIGURE / 2 / len(LOOKS)
_HALVINGS = 40
_NEGLIGIBLE = 1e-18


class Verdict(StrEnum):
    """What is said of a figure."""

    WORSE = "worse"
    NOT_WORSE = "not worse"
    NOT_ENOUGH = "not enough"


@dataclass(frozen=True, slots=True)
class Judged:
    """One figure of two releases."""

    figure: Figure
    verdict: Verdict
    former: float | None
    """Share, or median seconds; None: nothing was seen."""
    former_answers: int
    current: float | None
    """Of the answers that were looked at."""
    current_answers: int
    """At the look that says worse, or at the last one; 0: before the first."""
    limit: float | None
    """Beyond which it is worse; None: the former release has too few answers."""

    def sentence(self) -> str:
        """For the history."""
        unit = " s median" if self.figure is Figure.SECONDS else ""
        return (
            f"{self.figure} {self.current:.4g}{unit} of {self.current_answers} answers, beyond "
            f"{self.limit:.4g}; before {self.former:.4g} of {self.former_answers}"
        )


def judge(former: Samples, current: Samples) -> list[Judged]:
    """Judges each figure of the current release, whose samples are in the order of their time."""
    return [_judged(figure, former[figure], current[figure]) for figure in Figure]


def _judged(figure: Figure, former: Sequence[float], current: Sequence[float]) -> Judged:
    before = _value(figure, former)
    limit = _limit(figure, former)
    looks = [look for look in LOOKS if look <= len(current)]
    if limit is None or not looks:
        return Judged(figure, Verdict.NOT_ENOUGH, before, len(former), None, 0, limit)
    verdict, seen = Verdict.NOT_WORSE, looks[-1]
    for look in looks:
        if _beyond(figure, current[:look], limit):
            verdict, seen = Verdict.WORSE, look
            break
    value = _value(figure, current[:seen])
    return Judged(figure, verdict, before, len(former), value, seen, limit)


def _value(figure: Figure, seen: Sequence[float]) -> float | None:
    if not seen:
        return None
    return sorted(seen)[len(seen) // 2] if figure is Figure.SECONDS else sum(seen) / len(seen)


def _limit(figure: Figure, former: Sequence[float]) -> float | None:
    """The highest value that the former release makes plausible, with the bound."""
    if len(former) < FEWEST_BEFORE:
        return None
    if figure is Figure.SECONDS:
        return highest_median(former, _BEFORE) * BOUNDS[figure]
    return highest_share(round(sum(former)), len(former), _BEFORE) + BOUNDS[figure]


def _beyond(figure: Figure, current: Sequence[float], limit: float) -> bool:
    if figure is Figure.SECONDS:
        # Of a median at the limit or below, half of the times are above it at most.
        return at_least(sum(each > limit for each in current), len(current), 0.5) <= _OF_A_LOOK
    return limit < 1 and at_least(round(sum(current)), len(current), limit) <= _OF_A_LOOK


def at_least(successes: int, trials: int, share: float) -> float:
    """Probability of so many successes or more, of a binomial distribution; 0 < share < 1."""
    if successes <= 0:
        return 1.0
    if successes <= trials * share:
        # Far below the mean the first term may be too small for a float.
        return 1 - at_least(trials - successes + 1, trials, 1 - share)
    term = math.exp(
        math.lgamma(trials + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(trials - successes + 1)
        + successes * math.log(share)
        + (trials - successes) * math.log1p(-share)
    )
    odds, total = share / (1 - share), term
    for count in range(successes, trials):
        term *= (trials - count) / (count + 1) * odds
        total += term
        if term < _NEGLIGIBLE * total:
            break
    return min(1.0, total)


def highest_share(successes: int, trials: int, error: float) -> float:
    """The upper end of Clopper and Pearson's one-sided interval of a share."""
    if successes >= trials:
        return 1.0
    low, high = successes / trials, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # So few or fewer: the failures are so many or more.
        if at_least(trials - successes, trials, 1 - middle) > error:
            low = middle
        else:
            high = middle
    return high


def highest_median(values: Sequence[float], error: float) -> float:
    """The upper end of the one-sided interval of a median, by order statistics."""
    trials = len(values)
    rank = next(
        rank for rank in range(trials // 2, trials + 1) if at_least(rank, trials, 0.5) <= error
    )
    return sorted(values)[rank - 1]
