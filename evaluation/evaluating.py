"""One evaluation: the labels are read, the service is asked, the answers are measured."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from secondopinion import AsyncClient, Choices, Pipeline

from evaluation import classified, coco_labels, detected, labels
from evaluation.asking import Failed, Outcome, ask_all
from evaluation.errors import EvaluationError
from evaluation.question import Question
from evaluation.report import Report
from pipelines.enums import Task

A = TypeVar("A")
OnProgress = Callable[[int, int], None]
"""Called with the photos that are done and with all of them."""


@dataclass(frozen=True)
class Evaluation:
    """The report, and the photos that are in none of its metrics."""

    report: Report
    failed: list[Failed]


def evaluate(question: Question, pipeline: Pipeline, on_progress: OnProgress) -> Evaluation:
    """Asks about every labelled photo and measures the answers.

    Args:
        question: What is asked, checked by `question.facts`.
        pipeline: What that gave.
        on_progress: Called before the first photo and after each.

    Raises:
        EvaluationError: The labels are not usable, or the answers cannot be measured.
        SecondOpinionError: The service is gone, or wants another API key.
    """
    if pipeline.task == Task.CLASSIFICATION:
        return _classification(question, pipeline, on_progress)
    return _detection(question, pipeline, on_progress)


def _classification(question: Question, pipeline: Pipeline, on_progress: OnProgress) -> Evaluation:
    photos = labels.read(question.labels, pipeline.classes)
    choices = _choices(question, question.threshold)
    outcomes = _ask(
        question,
        lambda client: lambda content: client.predict_advanced(content, **choices),
        [photo.file for photo in photos],
        on_progress,
    )
    return Evaluation(classified.report(question, pipeline, photos, outcomes), _failed(outcomes))


def _detection(question: Question, pipeline: Pipeline, on_progress: OnProgress) -> Evaluation:
    if pipeline.threshold is None:
        raise EvaluationError(f"{pipeline.name}: the service names no threshold of this detector")
    masks = pipeline.task == Task.SEGMENTATION
    photos = coco_labels.read(question.labels, question.images, pipeline.classes, masks=masks)
    # A curve over scores needs the low ones too; hits are counted at the threshold afterwards.
    choices = _choices(question, pipeline.threshold.minimum)
    outcomes = _ask(
        question,
        lambda client: lambda content: client.detect(content, **choices),
        [photo.file for photo in photos],
        on_progress,
    )
    outcomes = detected.same_size(photos, outcomes)
    report = detected.report(
        question,
        pipeline,
        photos,
        outcomes,
        masks=masks,
        threshold=(
            pipeline.threshold.default if question.threshold is None else question.threshold
        ),
        asked_from=pipeline.threshold.minimum,
    )
    return Evaluation(report, _failed(outcomes))


def _choices(question: Question, threshold: float | None) -> Choices:
    return {"pipeline": question.pipeline, "member": question.member, "threshold": threshold}


def _ask(
    question: Question,
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
        async with AsyncClient(question.url) as client:
            return await ask_all(asking(client), files, question.concurrency, step)

    on_progress(0, len(files))
    return asyncio.run(ask())


def _failed(outcomes: Sequence[Outcome[A]]) -> list[Failed]:
    return [outcome for outcome in outcomes if isinstance(outcome, Failed)]
