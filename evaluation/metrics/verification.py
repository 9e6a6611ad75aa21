"""Accuracy of a classifier where people verified only some of its answers.

Doubtful answers are verified more often than others, so that the verified ones alone show too low
an accuracy, and a sensitivity that is too high or too low. Answers of one stratum (the class that
was predicted and the uncertainty level) are taken to be right in the share that was verified there.

Source: C. B. Begg and R. A. Greenes, Assessment of diagnostic tests when disease verification is
subject to selection bias, Biometrics 39, 1983.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DRAWS = 10_000
_PRIOR = 0.5
"""Of Jeffreys, for the share of right answers of a stratum."""
_PERCENTILES = (2.5, 97.5)

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Stratum:
    """Answers of one predicted class and one uncertainty level.

    Attributes:
        answers: All that were given.
        verified: Of these, the ones whose true class is known.
        right: Of the verified, those whose true class is the predicted one.
    """

    prediction: str
    level: str
    answers: int
    verified: int
    right: int


@dataclass(frozen=True)
class Estimate:
    """A share in [0, 1] with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Corrected:
    """Shares of all answers; None where a share is not defined.

    Attributes:
        sensitivity: Of the positive class; None without one.
        specificity: Likewise.
    """

    accuracy: Estimate | None
    sensitivity: Estimate | None
    specificity: Estimate | None


def correct(strata: Sequence[Stratum], positive: str | None) -> Corrected | None:
    """What the verified answers say of all answers; None where nothing is known of a stratum.

    The intervals hold for further answers of the same kind: they are of draws from the posteriors
    of each stratum's part of all answers and of its share of right ones.

    Args:
        strata: each with at least one answer.
        positive: the class that binary shares are about; None for several classes.

    Raises:
        ValueError: more were verified than answered, or more were right than verified.
    """
    for each in strata:
        if not 0 <= each.right <= each.verified <= each.answers:
            raise ValueError(f"{each}: right, verified and answers must not fall")
    if not strata or any(each.verified == 0 for each in strata):
        return None
    if positive is not None:
        # That no answer was of a class yet does not say that none will be.
        for is_positive in {True, False} - {each.prediction == positive for each in strata}:
            name = positive if is_positive else f"not {positive}"
            strata = [*strata, Stratum(name, "", 0, 0, 0)]
    answers = np.array([each.answers for each in strata], dtype=np.float64)
    right = np.array([each.right for each in strata])
    wrong = np.array([each.verified for each in strata]) - right
    rng = np.random.default_rng(0)
    sizes = [answers, rng.gamma(np.where(answers, answers, _PRIOR), size=(_DRAWS, len(strata)))]
    shares = [
        right / np.maximum(right + wrong, 1),
        rng.beta(right + _PRIOR, wrong + _PRIOR, (_DRAWS, len(strata))),
    ]
    hits = [size * share for size, share in zip(sizes, shares, strict=True)]
    misses = [size * (1 - share) for size, share in zip(sizes, shares, strict=True)]
    accuracy = _estimate(
        *(hit.sum(axis=-1) / size.sum(axis=-1) for hit, size in zip(hits, sizes, strict=True))
    )
    if positive is None:
        return Corrected(accuracy, None, None)
    predicted = np.array([each.prediction == positive for each in strata])
    return Corrected(
        accuracy,
        _estimate(*(_found(hit, miss, predicted) for hit, miss in zip(hits, misses, strict=True))),
        _estimate(*(_found(hit, miss, ~predicted) for hit, miss in zip(hits, misses, strict=True))),
    )


def _found(hits: _Floats, misses: _Floats, predicted: NDArray[np.bool_]) -> _Floats:
    """Of the images of a class, the share that was predicted to be of it; NaN where none is."""
    met = hits[..., predicted].sum(axis=-1)
    of = met + misses[..., ~predicted].sum(axis=-1)
    shares: _Floats = np.divide(met, of, out=np.full_like(met, np.nan), where=of > 0)
    return shares


def _estimate(value: _Floats, draws: _Floats) -> Estimate | None:
    if np.isnan(value):
        return None
    low, high = np.percentile(draws[~np.isnan(draws)], _PERCENTILES)
    # At 0 and 1 all draws lie on one side of the value.
    return Estimate(float(value), float(min(low, value)), float(max(high, value)))
