"""Calibration: how well confidence agrees with accuracy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
RESAMPLES = 1000
_SEED = 0


@dataclass(frozen=True)
class Bin:
    """Answers whose confidence lies above `low` and not above `high` (the first: from 0).

    Attributes:
        confidence: Their mean confidence.
        accuracy: The share of them that is right.
    """

    low: float
    high: float
    photos: int
    confidence: float
    accuracy: float


def calibration(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> list[Bin]:
    """Sorts answers into `BINS` bins of equal width; empty ones are left out.

    Args:
        confidence: FP64 [N], of the predicted class, in [0, 1].
        correct: BOOL [N], whether that class is the true one.
    """
    edges = np.linspace(0, 1, BINS + 1)
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BINS - 1)
    return [
        Bin(
            low=float(edges[place]),
            high=float(edges[place + 1]),
            photos=int((places == place).sum()),
            confidence=float(confidence[places == place].mean()),
            accuracy=float(correct[places == place].mean()),
        )
        for place in np.unique(places)
    ]


def expected_calibration_error(bins: list[Bin]) -> float:
    """The mean distance between confidence and accuracy, each bin weighted by its photos.

    Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, 2017, equation 3.
    In [0, 1]; 0 is perfect. Of the predicted class, so with a threshold other than 0.5 a
    confidence may lie below 0.5.
    """
    total = sum(each.photos for each in bins)
    return sum(each.photos * abs(each.accuracy - each.confidence) for each in bins) / total


@dataclass(frozen=True)
class CalibrationError:
    """An expected calibration error in [0, 1], and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def calibration_error(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_]
) -> CalibrationError:
    """The expected calibration error of answers, with a percentile bootstrap over `RESAMPLES`.

    The error is a sum of distances, so that of a resample is rather too large: with few answers
    the interval lies high, and may lie above the value.

    Args:
        confidence: FP64 [N], of the predicted class, in [0, 1]; N is at least 1.
        correct: BOOL [N], whether that class is the true one.
    """
    edges = np.linspace(0, 1, BINS + 1)
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BINS - 1)
    gaps = correct - confidence
    random = np.random.default_rng(_SEED)

    def error(chosen: NDArray[np.int64]) -> float:
        sums = np.bincount(places[chosen], weights=gaps[chosen], minlength=BINS)
        return float(np.abs(sums).sum() / len(chosen))

    count = len(confidence)
    errors = [error(random.integers(count, size=count)) for _ in range(RESAMPLES)]
    low, high = np.percentile(errors, [2.5, 97.5])
    return CalibrationError(error(np.arange(count)), float(low), float(high))


def without_temperature(
    probabilities: NDArray[np.float64], temperature: float
) -> NDArray[np.float64]:
    """A member's probabilities [N, K] as they were before its logits were divided.

    Logits are known from probabilities up to a constant of each row, which a softmax ignores:
    p ** T, normalised.
    """
    logits = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)) * temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
