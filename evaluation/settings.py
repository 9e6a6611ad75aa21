"""The settings of an evaluation, checked against the pipeline."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from secondopinion import Client, Pipeline, Retries, Threshold

from evaluation.errors import EvaluationError


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What to evaluate.

    Attributes:
        labels: CSV, folder or COCO instances JSON.
        images: Folder of a COCO file's photos; None means beside it.
        url: The service; None leaves it to the client.
        member: Asks this member alone.
        threshold: Decides instead of the pipeline's own.
        concurrency: Photos on their way at the same time.
        other: Folder of images of other kinds, to measure how many of them are called atypical.
        repository: The model repository, to look for the release's reference photos.
    """

    pipeline: str
    labels: Path
    images: Path | None = None
    url: str | None = None
    member: str | None = None
    threshold: float | None = None
    concurrency: int = 4
    other: Path | None = None
    repository: Path = Path(__file__).parents[1] / "model_repository"


@dataclass(frozen=True, kw_only=True)
class FeedbackSettings:
    """Which answers to measure by their feedback.

    Attributes:
        url: The service; None leaves it to the client.
        since: From this moment on.
        until: Before this moment.
    """

    pipeline: str
    url: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def connect(url: str | None) -> Client:
    """The service, which is asked once: a wrong URL or key is said at once.

    Raises:
        EvaluationError: The URL or the API key is malformed.
    """
    try:
        return Client(url, retries=Retries(attempts=1))
    except ValueError as error:
        raise EvaluationError(str(error)) from error


def find_pipeline(settings: EvaluationSettings) -> Pipeline:
    """Asks the service what the pipeline is, and whether the settings fit it.

    Raises:
        EvaluationError: The URL, the API key, the member or the threshold is wrong, or the
            pipeline is not loaded, or calls no image atypical, which `other` asks for.
        SecondOpinionError: The service cannot be reached or has no such pipeline.
    """
    with connect(settings.url) as client:
        pipeline = client.pipeline(settings.pipeline)
    if pipeline.release is None:
        raise EvaluationError(f"{pipeline.name}: is not loaded yet; wait until it is ready")
    if settings.member is not None and settings.member not in pipeline.members:
        raise EvaluationError(
            f"--member {settings.member}: the members of {pipeline.name} are: "
            f"{', '.join(pipeline.members)}"
        )
    if settings.threshold is not None:
        _check_threshold(pipeline.name, settings.threshold, pipeline.threshold)
    if settings.images is not None and pipeline.task == "classification":
        raise EvaluationError("--images: only a COCO file needs it; leave it out")
    if settings.other is not None and pipeline.typicality is None:
        reason = pipeline.typicality_reason or "The service does not say why."
        raise EvaluationError(
            f"--other: {pipeline.name} calls no image atypical. {reason} Or leave --other out"
        )
    return pipeline


def _check_threshold(pipeline: str, chosen: float, bounds: Threshold | None) -> None:
    if bounds is None:
        raise EvaluationError(f"--threshold: {pipeline} has none; leave it out")
    if not bounds.minimum <= chosen <= bounds.maximum:
        raise EvaluationError(
            f"--threshold {chosen:g}: {pipeline} takes {bounds.minimum:g} to {bounds.maximum:g}"
        )
