"""Compares two reports of classifiers."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from evaluation.comparison import Comparison, Row, pair
from evaluation.metrics.classification import ClassificationScores, Floats, Labels, measure, ranking
from evaluation.metrics.significance import difference, mcnemar
from evaluation.report import ClassificationReport, ClassifiedPhoto

Value = Callable[[NDArray[np.int64]], float | None]


class _Run:
    """One run's answers as arrays, and the metrics that are quick enough for a bootstrap."""

    def __init__(
        self, answers: Sequence[ClassifiedPhoto], classes: Sequence[str], positive: str | None
    ) -> None:
        index = {name: place for place, name in enumerate(classes)}
        self.truth: Labels = np.array([index[each.label] for each in answers])
        self.predicted: Labels = np.array([index[each.prediction] for each in answers])
        self.probabilities: Floats = np.array([each.probabilities for each in answers])
        self.correct = self.truth == self.predicted
        self.classes, self.positive = classes, positive

    def scores(self) -> ClassificationScores:
        return measure(self.truth, self.predicted, self.probabilities, self.classes, self.positive)

    def accuracy(self, photos: NDArray[np.int64]) -> float:
        return float(self.correct[photos].mean())

    def recall(self, name: str) -> Value:
        index = self.classes.index(name)

        def of(photos: NDArray[np.int64]) -> float | None:
            its_own = photos[self.truth[photos] == index]
            return self.accuracy(its_own) if len(its_own) else None

        return of

    def balanced_accuracy(self, photos: NDArray[np.int64]) -> float | None:
        recalls = [self.recall(name)(photos) for name in self.classes]
        met = [recall for recall in recalls if recall is not None]
        return float(np.mean(met)) if len(met) > 1 else None

    def roc_auc(self, photos: NDArray[np.int64]) -> float | None:
        truth, probabilities = self.truth[photos], self.probabilities[photos]
        return ranking(_area_by_ranks, truth, probabilities, self.classes, self.positive)


def compare(
    first: ClassificationReport, second: ClassificationReport, *, common: bool
) -> Comparison:
    """Compares them on the photos they share; see `compare.compare`."""
    paired = pair(first.answers, second.answers, common=common)
    one = _Run(paired.first, first.classes, first.positive)
    other = _Run(paired.second, second.classes, second.positive)
    return Comparison(
        first=first.title,
        second=second.title,
        demo=bool(first.weights or second.weights),
        photos=len(paired.first),
        left_out=paired.left_out,
        rows=_rows(one, other),
        mcnemar=mcnemar(one.correct, other.correct),
    )


def _rows(one: _Run, other: _Run) -> list[Row]:
    ours, theirs = one.scores(), other.scores()
    quick: list[tuple[str, Value, Value]] = [
        ("accuracy", one.accuracy, other.accuracy),
        ("balanced accuracy", one.balanced_accuracy, other.balanced_accuracy),
    ]
    if one.positive is not None:
        negative = next(name for name in one.classes if name != one.positive)
        quick += [
            ("sensitivity", one.recall(one.positive), other.recall(one.positive)),
            ("specificity", one.recall(negative), other.recall(negative)),
        ]
    quick.append(("ROC-AUC", one.roc_auc, other.roc_auc))
    rows = [_resampled(name, of_one, of_other, len(one.truth)) for name, of_one, of_other in quick]
    plain = [
        ("F1", ours.f1, theirs.f1),
        ("average precision", ours.average_precision, theirs.average_precision),
        (
            "expected calibration error",
            ours.expected_calibration_error,
            theirs.expected_calibration_error,
        ),
        ("Brier score", ours.brier, theirs.brier),
    ]
    return rows + [Row.plain(*each) for each in plain]


def _resampled(name: str, first: Value, second: Value, photos: int) -> Row:
    every = np.arange(photos)
    return Row(
        metric=name,
        first=first(every),
        second=second(every),
        difference=difference(lambda drawn: (first(drawn), second(drawn)), photos),
    )


def _area_by_ranks(truth: NDArray[np.bool_], score: Floats) -> float:
    """The area under the ROC curve as Mann and Whitney's U: scikit-learn's, in a tenth of its time.

    Over a thousand resamples of two runs that is the difference between seconds and half a minute.
    """
    positives = int(truth.sum())
    above = rankdata(score)[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(truth) - positives)))
