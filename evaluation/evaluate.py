"""One evaluation: reads the labels, asks the service, measures the answers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from secondopinion import Answer, AsyncClient, Choices, Pipeline

from evaluation import (
    classification_report,
    coco_labels,
    detection_report,
    labels,
    other_images,
    reference_photos,
)
from evaluation.answers import PATIENCE_SECONDS, Failed, Outcome, ask_all
from evaluation.errors import EvaluationError
from evaluation.report import Report
from evaluation.settings import EvaluationSettings
from pipelines.enums import Task

A = TypeVar("A", bound=Answer)
OnProgress = Callable[[int, int], None]
"""Called with the photos that are done and with all of them."""


@dataclass(frozen=True)
class Evaluation:
    """The report, and the photos that are in none of its metrics."""

    report: Report
    failed: list[Failed]
    compared: bool
    """Whether the photos are known not to be among those of the release's reference."""


def evaluate(
    settings: EvaluationSettings, pipeline: Pipeline, on_progress: OnProgress
) -> Evaluation:
    """Asks about every labelled photo and measures the answers.

    Args:
        settings: What is asked, checked by `settings.find_pipeline`.
        pipeline: What that gave.
        on_progress: Called before the first photo and after each.

    Raises:
        EvaluationError: The labels are not usable, or the answers cannot be measured.
        SecondOpinionError: The service is gone, or wants another API key.
    """
    if pipeline.task == Task.CLASSIFICATION:
        return _classification(settings, pipeline, on_progress)
    return _detection(settings, pipeline, on_progress)


def _classification(
    settings: EvaluationSettings, pipeline: Pipeline, on_progress: OnProgress
) -> Evaluation:
    photos = labels.read(settings.labels, pipeline.classes)
    others = other_images.find(settings.other, [photo.file for photo in photos])
    compared = _require_apart(settings, pipeline, [photo.file for photo in photos])
    choices = _choices(settings, settings.threshold)
    asked = _ask(
        settings,
        lambda client: lambda content: client.predict_advanced(content, **choices),
        [*(photo.file for photo in photos), *others],
        on_progress,
    )
    outcomes, others_outcomes = asked[: len(photos)], asked[len(photos) :]
    report = classification_report.report(settings, pipeline, photos, outcomes)
    return _with_typicality(report, outcomes, others_outcomes, compared=compared)


def _detection(
    settings: EvaluationSettings, pipeline: Pipeline, on_progress: OnProgress
) -> Evaluation:
    if pipeline.threshold is None:
        raise EvaluationError(f"{pipeline.name}: the service names no threshold of this detector")
    masks = pipeline.task == Task.SEGMENTATION
    photos = coco_labels.read(settings.labels, settings.images, pipeline.classes, masks=masks)
    others = other_images.find(settings.other, [photo.file for photo in photos])
    compared = _require_apart(settings, pipeline, [photo.file for photo in photos])
    # A curve over scores needs the low ones too; hits are counted at the threshold afterwards.
    choices = _choices(settings, pipeline.threshold.minimum)
    asked = _ask(
        settings,
        lambda client: lambda content: client.detect(content, **choices),
        [*(photo.file for photo in photos), *others],
        on_progress,
    )
    outcomes = detection_report.same_size(photos, asked[: len(photos)])
    report = detection_report.report(
        settings,
        pipeline,
        photos,
        outcomes,
        masks=masks,
        threshold=(
            pipeline.threshold.default if settings.threshold is None else settings.threshold
        ),
        asked_from=pipeline.threshold.minimum,
    )
    return _with_typicality(report, outcomes, asked[len(photos) :], compared=compared)


def _require_apart(settings: EvaluationSettings, pipeline: Pipeline, files: Sequence[Path]) -> bool:
    return reference_photos.require_apart(pipeline, files, settings.repository)


def _with_typicality(
    report: Report,
    outcomes: Sequence[Outcome[A]],
    others: Sequence[Outcome[A]],
    *,
    compared: bool,
) -> Evaluation:
    scores = other_images.judged(outcomes, others)
    return Evaluation(
        report.model_copy(update={"typicality": scores}), _failed([*outcomes, *others]), compared
    )


def _choices(settings: EvaluationSettings, threshold: float | None) -> Choices:
    return {
        "pipeline": settings.pipeline,
        "member": settings.member,
        "threshold": threshold,
        "respond_within": PATIENCE_SECONDS,
    }


def _ask(
    settings: EvaluationSettings,
    asking: Callable[[AsyncClient], Callable[[bytes], Awaitable[A]]],
    files: Sequence[Path],
    on_progress: OnProgress,
) -> list[Outcome[A]]:
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        on_progress(done, len(files))

    async def ask() -> list[Outcome[A]]:
        async with AsyncClient(settings.url) as client:
            return await ask_all(asking(client), files, settings.concurrency, step)

    on_progress(0, len(files))
    return asyncio.run(ask())


def _failed(outcomes: Sequence[Outcome[A]]) -> list[Failed]:
    return [outcome for outcome in outcomes if isinstance(outcome, Failed)]
