"""Metrics of a binary pipeline at a range of thresholds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

STEP = 0.01


@dataclass(frozen=True)
class OperatingPoint:
    """Shares in [0, 1] at one threshold; None where a share is not defined.

    Attributes:
        ppv: Positive predictive value (precision). With npv it holds for the share of positives
            among these photos, not for that among a clinic's.
        npv: Negative predictive value.
        f1: Of the positive class.
    """

    threshold: float
    sensitivity: float | None
    specificity: float | None
    ppv: float | None
    npv: float | None
    f1: float | None

    @property
    def youden(self) -> float | None:
        """Sensitivity + specificity - 1 (W. J. Youden, Index for rating diagnostic tests, 1950)."""
        if self.sensitivity is None or self.specificity is None:
            return None
        return self.sensitivity + self.specificity - 1


def thresholds(minimum: float, maximum: float, *marked: float) -> list[float]:
    """From minimum to maximum in steps of `STEP`, and the marked ones, sorted."""
    steps = round((maximum - minimum) / STEP)
    grid = {round(minimum + step * STEP, 6) for step in range(steps + 1)}
    return sorted(grid | {round(each, 6) for each in (maximum, *marked)})


def sweep(
    truth: NDArray[np.bool_], score: NDArray[np.float64], at: list[float]
) -> list[OperatingPoint]:
    """The metrics at each threshold.

    Args:
        truth: BOOL [N], whether the photo is of the positive class.
        score: FP64 [N], the positive class's probability; from the threshold on it is positive.
        at: The thresholds.
    """
    return [_point(truth, score >= threshold, threshold) for threshold in at]


def best_by_youden(points: list[OperatingPoint], preferred: float) -> OperatingPoint | None:
    """The point of the largest Youden index; of equal ones the nearest to `preferred`.

    It is chosen on the very photos it is measured on, so it flatters: confirm it on others.
    None where the index is not defined, as the photos are all of one class.
    """
    defined = [(point.youden, point) for point in points if point.youden is not None]
    if not defined:
        return None
    best = max(youden for youden, _ in defined)
    equals = [point for youden, point in defined if np.isclose(youden, best, rtol=0, atol=1e-9)]
    return min(equals, key=lambda point: abs(point.threshold - preferred))


def _point(
    truth: NDArray[np.bool_], positive: NDArray[np.bool_], threshold: float
) -> OperatingPoint:
    counts = confusion_matrix(truth, positive, labels=[False, True]).ravel()
    right_negative, false_alarm, missed, hit = (int(count) for count in counts)
    return OperatingPoint(
        threshold=threshold,
        sensitivity=_ratio(hit, hit + missed),
        specificity=_ratio(right_negative, right_negative + false_alarm),
        ppv=_ratio(hit, hit + false_alarm),
        npv=_ratio(right_negative, right_negative + missed),
        f1=_ratio(2 * hit, 2 * hit + false_alarm + missed) if hit + missed else None,
    )


def _ratio(count: int, of: int) -> float | None:
    return count / of if of else None
