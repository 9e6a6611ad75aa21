"""Makes the report of a classifier from its answers and the labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from secondopinion import AdvancedPrediction, Pipeline

from evaluation.answers import Answered, Outcome
from evaluation.errors import EvaluationError
from evaluation.labels import LabelledPhoto
from evaluation.metrics.classification import by_level, measure
from evaluation.metrics.sweep import best_by_youden, sweep, thresholds
from evaluation.origin import answered, origin
from evaluation.report import ClassificationReport, ClassifiedPhoto, Sweep
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
    )


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
