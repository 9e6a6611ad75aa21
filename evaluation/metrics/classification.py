"""Metrics of a classifier, from arrays of labels and answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    roc_auc_score,
)

from evaluation.metrics.calibration import Bin, calibration, expected_calibration_error
from evaluation.metrics.intervals import Share, share

_LEVELS = {"low": 0, "medium": 1, "high": 2}

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassificationScores:
    """Numbers over all answered photos; None where the labels leave one undefined.

    With a positive class, `f1`, `roc_auc` and `average_precision` are that class's. Without one,
    f1 is the mean over the classes that are true or predicted somewhere, and the other two are
    the mean over the classes with photos, each against the rest.

    Attributes:
        accuracy: Share of answers that name the true class.
        balanced_accuracy: Mean recall of the classes that have photos; needs two of them.
        sensitivity: Of the positive class; None where there is none.
        specificity: Of the other class; likewise.
        recall: Of each class; None where it has no photos.
        expected_calibration_error: 0 (perfect) to 1.
        brier: Mean squared distance of probability and truth. Binary: 0 to 1, of the positive
            class. Multi-class: summed over the classes, 0 to 2.
        confusion: Photos by true class (rows) and predicted class (columns), in class order.
    """

    accuracy: Share
    balanced_accuracy: float | None
    f1: float | None
    sensitivity: Share | None
    specificity: Share | None
    recall: dict[str, Share | None]
    roc_auc: float | None
    average_precision: float | None
    expected_calibration_error: float
    brier: float
    confusion: list[list[int]]
    calibration: list[Bin]


@dataclass(frozen=True)
class LevelScore:
    """The answers of one uncertainty level: how many of all, and how many of them are right."""

    level: str
    share: Share
    accuracy: Share


def measure(
    truth: Labels,
    predicted: Labels,
    probabilities: Floats,
    classes: Sequence[str],
    positive: str | None = None,
) -> ClassificationScores:
    """Measures answers against labels.

    Args:
        truth: INT64 [N], index of the true class; N is at least 1.
        predicted: INT64 [N], the class that was answered. With a threshold it need not be the
            most probable one.
        probabilities: FP64 [N, K], in [0, 1].
        classes: K names, in the order of the indices.
        positive: The class that binary scores are about; None for several classes.

    Raises:
        ValueError: There are no photos, or the shapes do not fit each other.
    """
    _check(truth, predicted, probabilities, classes)
    counts = confusion_matrix(truth, predicted, labels=range(len(classes)))
    recall = {
        name: share(int(counts[index, index]), int(counts[index].sum()))
        for index, name in enumerate(classes)
    }
    met = [each.value for each in recall.values() if each is not None]
    bins = calibration(probabilities[np.arange(len(truth)), predicted], truth == predicted)
    accuracy = share(int(counts.trace()), len(truth))
    assert accuracy is not None  # noqa: S101 - there are photos: checked above
    return ClassificationScores(
        accuracy=accuracy,
        balanced_accuracy=float(np.mean(met)) if len(met) > 1 else None,
        f1=_f1(truth, predicted, classes, positive),
        sensitivity=None if positive is None else recall[positive],
        specificity=None if positive is None else recall[_other(classes, positive)],
        recall=recall,
        roc_auc=ranking(roc_auc_score, truth, probabilities, classes, positive),
        average_precision=ranking(average_precision_score, truth, probabilities, classes, positive),
        expected_calibration_error=expected_calibration_error(bins),
        brier=_brier(truth, probabilities, classes, positive),
        confusion=counts.tolist(),
        calibration=bins,
    )


def by_level(levels: Sequence[str], correct: NDArray[np.bool_]) -> list[LevelScore]:
    """How often the answers of each uncertainty level are right, from the lowest level on."""
    named = np.array(levels)
    scores = []
    for level in sorted(set(levels), key=lambda level: _LEVELS.get(level, len(_LEVELS))):
        here = named == level
        part = share(int(here.sum()), len(named))
        accuracy = share(int(correct[here].sum()), int(here.sum()))
        if part is not None and accuracy is not None:
            scores.append(LevelScore(level, part, accuracy))
    return scores


def ranking(
    score: Callable[[NDArray[np.bool_], Floats], float],
    truth: Labels,
    probabilities: Floats,
    classes: Sequence[str],
    positive: str | None,
) -> float | None:
    """The positive class's score, else the mean of each class's against the rest.

    None where no class has both photos of its own and photos of others.
    """
    asked = range(len(classes)) if positive is None else [classes.index(positive)]
    scores = [
        float(score(truth == index, probabilities[:, index]))
        for index in asked
        if 0 < np.count_nonzero(truth == index) < len(truth)
    ]
    return float(np.mean(scores)) if scores else None


def _f1(
    truth: Labels, predicted: Labels, classes: Sequence[str], positive: str | None
) -> float | None:
    if positive is None:
        return float(f1_score(truth, predicted, average="macro"))
    index = classes.index(positive)
    return float(f1_score(truth == index, predicted == index)) if index in truth else None


def _brier(
    truth: Labels, probabilities: Floats, classes: Sequence[str], positive: str | None
) -> float:
    if positive is None:
        # Several float32 probabilities need not add up to 1 to the last digit, as sklearn asks.
        rows = probabilities / probabilities.sum(axis=1, keepdims=True)
        return float(brier_score_loss(truth, rows, labels=range(len(classes)), scale_by_half=False))
    index = classes.index(positive)
    return float(brier_score_loss(truth == index, probabilities[:, index], labels=[False, True]))


def _other(classes: Sequence[str], positive: str) -> str:
    return next(name for name in classes if name != positive)


def _check(truth: Labels, predicted: Labels, probabilities: Floats, classes: Sequence[str]) -> None:
    if not len(truth):
        raise ValueError("truth: there are no photos")
    if truth.shape != predicted.shape or probabilities.shape != (len(truth), len(classes)):
        raise ValueError(
            f"truth {truth.shape}, predicted {predicted.shape} and probabilities "
            f"{probabilities.shape} do not fit each other and {len(classes)} classes"
        )
