"""Metrics of typicality: false alarms on images of a pipeline's kind, and detection of others."""

from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.metrics import roc_auc_score

from evaluation.metrics.intervals import Share, share


@dataclass(frozen=True)
class Judged:
    """What was said of one image: its typicality in (0, 1], and whether it is typical."""

    typicality: float
    typical: bool


@dataclass(frozen=True)
class TypicalityScores:
    """How images were judged; None where there are none to measure on.

    Attributes:
        false_alarms: Share of the labelled photos that were called atypical.
        others_flagged: Share of the other images that were called atypical.
        roc_auc: How often a labelled photo is more typical than another image, 0 to 1: whatever
            the rate of false alarms is set to.
        not_judged: Answers of either kind that say nothing of typicality.
    """

    false_alarms: Share | None
    others_flagged: Share | None
    roc_auc: float | None
    not_judged: int


def measure(
    photos: Sequence[Judged | None], others: Sequence[Judged | None]
) -> TypicalityScores | None:
    """Measures judgements; None where no image was judged.

    Args:
        photos: Of labelled photos, which are of the pipeline's kind; None: not judged.
        others: Of images of other kinds, likewise.
    """
    own, other = ([each for each in group if each is not None] for group in (photos, others))
    if not own and not other:
        return None
    area = None
    if own and other:
        kinds = [True] * len(own) + [False] * len(other)
        area = float(roc_auc_score(kinds, [each.typicality for each in own + other]))
    return TypicalityScores(
        false_alarms=_flagged(own),
        others_flagged=_flagged(other),
        roc_auc=area,
        not_judged=len(photos) + len(others) - len(own) - len(other),
    )


def _flagged(judged: Sequence[Judged]) -> Share | None:
    return share(sum(not each.typical for each in judged), len(judged))
