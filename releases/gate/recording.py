"""Asks a service about every photo of a canary set, and records what it answers."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from secondopinion import AdvancedPrediction, AsyncClient, Choices, Detections, Pipeline

from evaluation import coco_labels, labels, reference_photos
from evaluation.answers import PATIENCE_SECONDS, Answered, Outcome, ask_all
from evaluation.coco_labels import AnnotatedPhoto
from evaluation.detection_report import found, same_size
from evaluation.errors import EvaluationError, some
from evaluation.labels import LabelledPhoto
from evaluation.settings import connect
from pipelines.enums import Task
from releases.gate.answers import CanaryAnswers, CanaryPhoto, FoundObject, LabelledObject

Photo = LabelledPhoto | AnnotatedPhoto
_Outcome = Outcome[AdvancedPrediction] | Outcome[Detections]


@dataclass(frozen=True, kw_only=True)
class CanarySet:
    """Where the labelled photos are.

    Attributes:
        labels: As `python -m evaluation` takes them.
        images: Folder of a COCO file's photos; None: beside it.
        columns: Of the labels, whose values are subgroups.
        repository: The model repository, to look for photos of the release's reference.
    """

    labels: Path
    images: Path | None
    columns: tuple[str, ...]
    repository: Path


@dataclass(frozen=True)
class Asked:
    """A service to ask.

    Attributes:
        url: None leaves it to the client.
        release: The loaded release that is to answer; None: the one that answers anybody.
    """

    url: str | None
    release: str | None = None


def current_and_candidate(pipeline: str, url: str | None) -> tuple[Asked, Asked]:
    """Both releases that one service has loaded, to be asked by their names.

    Raises:
        EvaluationError: It has no candidate, or not loaded it yet.
        SecondOpinionError: The service is gone, or the credentials lack the role `operate`.
    """
    with connect(url) as client:
        state = client.releases().of(pipeline)
    if state is None:
        raise EvaluationError(f"{pipeline}: the service has none that the credentials cover")
    if state.candidate is None:
        raise EvaluationError(
            f"{pipeline}: there is no candidate: stage one (python -m releases stage), or name "
            "both --current and --candidate: a URL, or a file of recorded answers"
        )
    for release in (state.current, state.candidate):
        if release not in state.loaded:
            raise EvaluationError(f"{pipeline}: {release} is not loaded yet: wait until it is")
    return Asked(url, state.current), Asked(url, state.candidate)


def record(pipeline: str, asked: Asked, canaries: CanarySet, concurrency: int = 4) -> CanaryAnswers:
    """Asks a service.

    Args:
        pipeline: Its name.
        asked: The service, and which of its releases.
        canaries: What to ask about.
        concurrency: Photos on their way at the same time.

    Raises:
        EvaluationError: The labels are not usable, no photo was answered, two releases answered,
            or a photo is among those of the release's reference.
        SecondOpinionError: The service is gone, or wants another API key.
    """
    with connect(asked.url) as client:
        facts = client.pipeline(pipeline, release=asked.release)
    if facts.release is None:
        raise EvaluationError(f"{pipeline}: is not loaded yet; wait until it is ready")
    photos = _photos(facts, canaries)
    files = [photo.file for photo in photos]
    reference_photos.require_apart(facts, files, canaries.repository)
    outcomes = asyncio.run(_ask(facts, asked, photos, concurrency))
    releases = sorted({each.answer.release for each in outcomes if isinstance(each, Answered)})
    if len(releases) != 1:
        raise EvaluationError(
            f"{pipeline}: none of the {len(photos)} photos was answered"
            if not releases
            else f"{pipeline}: several releases answered ({some(releases)}): ask one alone"
        )
    demo = any(isinstance(each, Answered) and each.answer.demo for each in outcomes)
    return CanaryAnswers(
        created=datetime.now(UTC),
        pipeline=pipeline,
        release=releases[0],
        release_sha256=facts.release_sha256 if facts.release == releases[0] else None,
        task=Task(facts.task),
        classes=facts.classes,
        positive=facts.positive,
        threshold=None if facts.threshold is None else facts.threshold.default,
        weights="demo" if demo else None,
        photos=tuple(
            _recorded(photo, outcome, facts)
            for photo, outcome in zip(photos, outcomes, strict=True)
        ),
    )


def _photos(pipeline: Pipeline, canaries: CanarySet) -> Sequence[Photo]:
    if not pipeline.detects:
        if canaries.images is not None:
            raise EvaluationError("--images: only a COCO file needs it; leave it out")
        return labels.read(canaries.labels, pipeline.classes, canaries.columns)
    return coco_labels.read(
        canaries.labels,
        canaries.images,
        pipeline.classes,
        masks=pipeline.task == Task.SEGMENTATION,
        columns=canaries.columns,
    )


async def _ask(
    pipeline: Pipeline, asked: Asked, photos: Sequence[Photo], concurrency: int
) -> Sequence[_Outcome]:
    files = [photo.file for photo in photos]
    choices: Choices = {
        "pipeline": pipeline.name,
        "release": asked.release,
        "respond_within": PATIENCE_SECONDS,
    }
    async with AsyncClient(asked.url) as client:
        if not pipeline.detects:
            return await ask_all(
                lambda content: client.predict_advanced(content, **choices), files, concurrency
            )
        if pipeline.threshold is None:
            raise EvaluationError(f"{pipeline.name}: the service names no threshold of it")
        # A curve over scores needs the low ones too.
        choices["threshold"] = pipeline.threshold.minimum
        outcomes = await ask_all(
            lambda content: client.detect(content, **choices), files, concurrency
        )
    labelled = [each for each in photos if isinstance(each, AnnotatedPhoto)]
    return same_size(labelled, outcomes)


def _recorded(photo: Photo, outcome: _Outcome, pipeline: Pipeline) -> CanaryPhoto:
    of_photo = CanaryPhoto(
        sha256=_sha256(photo.file),
        label=photo.label if isinstance(photo, LabelledPhoto) else "",
        objects=()
        if isinstance(photo, LabelledPhoto)
        else tuple(LabelledObject(**asdict(each)) for each in photo.objects),
        groups=dict(photo.columns),
        answered=isinstance(outcome, Answered),
    )
    if not isinstance(outcome, Answered):
        return of_photo
    answer = outcome.answer
    said: dict[str, object] = {
        "typical": None if answer.input is None else answer.input.typical,
        "latency_ms": answer.processing_time_ms,
        "compute_ms": answer.compute_ms,
    }
    if isinstance(answer, AdvancedPrediction):
        if {*answer.probabilities} != {*pipeline.classes}:
            raise EvaluationError(
                f"{pipeline.name}: an answer has other classes than the pipeline: ask again"
            )
        said["prediction"] = answer.prediction
        said["confidence"] = answer.confidence
    if isinstance(answer, Detections):
        said["found"] = tuple(FoundObject(**asdict(each)) for each in found(answer))
    return of_photo.model_copy(update=said)


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise EvaluationError(f"{file}: {error.strerror}") from None
