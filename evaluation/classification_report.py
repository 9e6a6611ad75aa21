"""Makes the report of a classifier from its answers and the labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from secondopinion import AdvancedPrediction, Pipeline

from evaluation.answers import Answered, Outcome
from evaluation.errors import EvaluationError
from evaluation.labels import LabelledPhoto
from evaluation.metrics.calibration import calibration, calibration_error, without_temperature
from evaluation.metrics.classification import by_level, measure
from evaluation.metrics.sets import SetScores, measure_sets
from evaluation.metrics.sweep import best_by_youden, sweep, thresholds
from evaluation.origin import answered, origin
from evaluation.report import ClassificationReport, ClassifiedPhoto, Reliability, Sweep
from evaluation.settings import EvaluationSettings


def report(
    settings: EvaluationSettings,
    pipeline: Pipeline,
    photos: Sequence[LabelledPhoto],
    outcomes: Sequence[Outcome[AdvancedPrediction]],
) -> ClassificationReport:
    """Measures the answers.

    Args:
        settings: What was asked.
        pipeline: What the service said of the pipeline.
        photos: In the order of the outcomes.
        outcomes: Photos without an answer are counted and left out.

    Raises:
        EvaluationError: No photo was answered, two releases answered, or equal photos have
            different labels.
    """
    kept: list[Answered[AdvancedPrediction]] = answered(outcomes)
    labels = {photo.file: photo.label for photo in photos}
    _check_copies(kept, {each.sha256: each for each in reversed(kept)}, labels)
    answers = [_row(each, labels[each.file], pipeline) for each in kept]
    index = {name: place for place, name in enumerate(pipeline.classes)}
    truth = np.array([index[each.label] for each in answers])
    predicted = np.array([index[each.prediction] for each in answers])
    probabilities = np.array([each.probabilities for each in answers])
    decided = kept[0].answer.threshold
    return ClassificationReport(
        **origin(settings, pipeline, outcomes, decided),
        positive=pipeline.positive,
        scores=measure(truth, predicted, probabilities, pipeline.classes, pipeline.positive),
        levels=by_level([each.uncertainty for each in answers], truth == predicted),
        sweep=_sweep(pipeline, answers, decided),
        answers=answers,
        reliability=_reliability(probabilities, predicted, truth),
        reliability_before=_before(kept, pipeline, truth, decided),
        sets=_sets(kept, truth, pipeline),
    )


def _row(each: Answered[AdvancedPrediction], label: str, pipeline: Pipeline) -> ClassifiedPhoto:
    answer = each.answer
    if unknown := {*pipeline.classes} ^ {*answer.probabilities}:
        raise EvaluationError(
            f"{pipeline.name}: an answer has other classes than the pipeline "
            f"({', '.join(sorted(unknown))}); the service may have changed: ask again"
        )
    return ClassifiedPhoto(
        sha256=each.sha256,
        label=label,
        prediction=answer.prediction,
        probabilities=[answer.probabilities[name] for name in pipeline.classes],
        uncertainty=answer.uncertainty.level,
        prediction_set=None if answer.prediction_set is None else list(answer.prediction_set),
    )


def _reliability(
    probabilities: NDArray[np.float64], predicted: NDArray[np.int64], truth: NDArray[np.int64]
) -> Reliability:
    confidence = probabilities[np.arange(len(truth)), predicted]
    error = calibration_error(confidence, predicted == truth)
    return Reliability(
        expected_calibration_error=error.value,
        low=error.low,
        high=error.high,
        bins=calibration(confidence, predicted == truth),
    )


def _before(
    kept: Sequence[Answered[AdvancedPrediction]],
    pipeline: Pipeline,
    truth: NDArray[np.int64],
    decided: float | None,
) -> Reliability | None:
    """The reliability that the same members have without their temperatures."""
    if not all(each.answer.calibrated for each in kept):
        return None
    means: NDArray[np.float64] = np.zeros((len(kept), len(pipeline.classes)))
    total = 0.0
    for name, model in kept[0].answer.models.items():
        temperature = pipeline.members[name].temperature if name in pipeline.members else None
        if temperature is None:
            return None
        alone = len(kept[0].answer.models) == 1
        weight = 1.0 if alone or model.weight is None else model.weight
        said = [each.answer.models[name].probabilities for each in kept]
        rows = np.array([[row[label] for label in pipeline.classes] for row in said])
        means += weight * without_temperature(rows, temperature)
        total += weight
    means /= total
    predicted = means.argmax(axis=1)
    if decided is not None and pipeline.positive is not None:
        place = pipeline.classes.index(pipeline.positive)
        predicted = np.where(means[:, place] >= decided, place, 1 - place)
    return _reliability(means, predicted, truth)


def _sets(
    kept: Sequence[Answered[AdvancedPrediction]], truth: NDArray[np.int64], pipeline: Pipeline
) -> SetScores | None:
    stated = kept[0].answer.coverage
    named = [each.answer.prediction_set for each in kept]
    if stated is None or any(each is None for each in named):
        return None
    sets = np.array([[label in (each or ()) for label in pipeline.classes] for each in named])
    return measure_sets(truth, sets, pipeline.classes, stated)


def _check_copies(
    kept: Sequence[Answered[AdvancedPrediction]],
    first: dict[str, Answered[AdvancedPrediction]],
    labels: dict[Path, str],
) -> None:
    for each in kept:
        other = first[each.sha256].file
        if labels[other] != labels[each.file]:
            raise EvaluationError(
                f"{other} and {each.file} are the same photo, labelled {labels[other]!r} and "
                f"{labels[each.file]!r}; take the wrong one out"
            )


def _sweep(
    pipeline: Pipeline, answers: Sequence[ClassifiedPhoto], decided: float | None
) -> Sweep | None:
    bounds = pipeline.threshold
    if pipeline.positive is None or bounds is None:
        return None
    marked = [bounds.default] if decided is None else [bounds.default, decided]
    place = pipeline.classes.index(pipeline.positive)
    points = sweep(
        np.array([each.label == pipeline.positive for each in answers]),
        np.array([each.probabilities[place] for each in answers]),
        thresholds(bounds.minimum, bounds.maximum, *marked),
    )
    return Sweep(points=points, best=best_by_youden(points, bounds.default), default=bounds.default)
