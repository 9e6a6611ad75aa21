"""The requests of both clients, without transport: what to send, and how to read the answer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import httpx

from secondopinion import _images, _reading, _usage
from secondopinion._answers import AdvancedPrediction, BatchAnswer, BatchResult, Prediction
from secondopinion._catalogue import Pipeline, Pipelines
from secondopinion._detections import Detections, DetectionsBatch
from secondopinion._errors import problem_error
from secondopinion._images import Image
from secondopinion._request import Request
from secondopinion._usage import UsageFilter, UsageReport

T = TypeVar("T")
ManyImages = TypeVar("ManyImages", bound=BatchAnswer)


class Choices(TypedDict, total=False):
    """Parameters of one request; None leaves the choice to the pipeline.

    Attributes:
        pipeline: Name of the pipeline; None asks the service's default.
        threshold: Score from which a binary pipeline says positive, or from which a detector
            names what it found, within the pipeline's bounds.
        top_k: How many classes a multi-class pipeline names, 1 or more.
        member: Asks this member alone.
        visualization: Has a detector draw what it found on the image.
        polygons: Adds the outlines of the masks, where the pipeline segments.
    """

    pipeline: str | None
    threshold: float | None
    top_k: int | None
    member: str | None
    visualization: bool | None
    polygons: bool | None


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One request, from the image to the typed answer.

    Attributes:
        build: Makes the request. Reads files, so it may block; called once, before all attempts.
        read: Turns the last response, whatever its status, into the answer or an exception.
        once: Whether to send it a single time, without retries.
    """

    build: Callable[[], Request]
    read: Callable[[httpx.Response], T]
    once: bool = False


def predict(image: Image, **choices: Unpack[Choices]) -> Call[Prediction]:
    """Asks for a prediction."""
    return Call(
        build=partial(_one_image, image, *_target("predict", **choices)),
        read=partial(_reading.answer, kind=Prediction),
    )


def predict_advanced(image: Image, **choices: Unpack[Choices]) -> Call[AdvancedPrediction]:
    """Asks for a prediction with its uncertainty and each member's opinion."""
    return Call(
        build=partial(_one_image, image, *_target("predict/advanced", **choices)),
        read=partial(_reading.answer, kind=AdvancedPrediction),
    )


def detect(image: Image, **choices: Unpack[Choices]) -> Call[Detections]:
    """Asks a detector what it finds."""
    return Call(
        build=partial(_one_image, image, *_target("predict", **choices)),
        read=partial(_reading.answer, kind=Detections),
    )


def predict_batch(images: Iterable[Image], **choices: Unpack[Choices]) -> Call[BatchResult]:
    """Asks a classifier about several images in one request."""
    return _batch(images, BatchResult, *_target("predict/batch", **choices))


def detect_batch(images: Iterable[Image], **choices: Unpack[Choices]) -> Call[DetectionsBatch]:
    """Asks a detector about several images in one request."""
    return _batch(images, DetectionsBatch, *_target("predict/batch", **choices))


def _batch(
    images: Iterable[Image], kind: type[ManyImages], path: str, query: dict[str, str]
) -> Call[ManyImages]:
    if isinstance(images, str | bytes | bytearray | memoryview):
        raise TypeError("images: a list of images was expected; a single one needs no batch")
    listed = list(images)
    if not listed:
        raise ValueError("images: none were given")
    names = [_images.name(image, index) for index, image in enumerate(listed)]
    return Call(
        build=partial(_many_images, listed, path, query),
        read=partial(_reading.batch, kind=kind, names=names),
    )


def pipelines() -> Call[Pipelines]:
    """Asks what the service offers."""
    return Call(
        build=partial(Request, method="GET", path="/api/v1/pipelines"),
        read=_reading.pipelines,
    )


def pipeline(name: str) -> Call[Pipeline]:
    """Asks about one pipeline."""
    return Call(
        build=partial(Request, method="GET", path=f"/api/v1/pipelines/{quote(name, safe='')}"),
        read=_reading.pipeline,
    )


def usage(
    by: Sequence[str], since: datetime | None, until: datetime | None, only: UsageFilter
) -> Call[UsageReport]:
    """Asks what was answered, and what it cost."""
    query = _usage.query(by, since, until, only)
    return Call(
        build=partial(Request, method="GET", path="/api/v1/usage", query=query),
        read=_reading.usage,
    )


def ready(pipeline: str | None) -> Call[bool]:
    """Asks whether a prediction would be answered now; without retries."""
    query = {} if pipeline is None else {"pipeline": pipeline}
    return Call(
        build=partial(Request, method="GET", path="/readyz", query=query),
        read=_read_ready,
        once=True,
    )


def _read_ready(response: httpx.Response) -> bool:
    if response.status_code not in {httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE}:
        raise problem_error(response)
    return response.is_success


def _target(
    route: str,
    *,
    pipeline: str | None = None,
    threshold: float | None = None,
    top_k: int | None = None,
    member: str | None = None,
    visualization: bool | None = None,
    polygons: bool | None = None,
) -> tuple[str, dict[str, str]]:
    """Path and query; raises TypeError for an unknown keyword."""
    under = "" if pipeline is None else f"pipelines/{quote(pipeline, safe='')}/"
    chosen = {
        "threshold": threshold,
        "top_k": top_k,
        "member": member,
        "visualization": _word(visualization),
        "polygons": _word(polygons),
    }
    query = {name: str(value) for name, value in chosen.items() if value is not None}
    return f"/api/v1/{under}{route}", query


def _word(choice: bool | None) -> str | None:
    return None if choice is None else str(choice).lower()


def _one_image(image: Image, path: str, query: dict[str, str]) -> Request:
    # Raw bytes and not multipart: file names of photos often hold a patient's name.
    return Request(
        method="POST",
        path=path,
        query=query,
        content=_images.read(image),
        content_type="application/octet-stream",
        # The service stores no pictures, so that it refuses a key with one.
        once_by_key="visualization" not in query,
    )


def _many_images(images: list[Image], path: str, query: dict[str, str]) -> Request:
    # Neutral names for the same reason; the caller's are put back when the answer is read.
    files = [
        ("files", (f"image-{index}", _images.read(image))) for index, image in enumerate(images)
    ]
    return Request(method="POST", path=path, query=query, files=files, once_by_key=True)
