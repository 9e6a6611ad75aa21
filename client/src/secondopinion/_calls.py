"""The requests of both clients, without transport: what to send, and how to read the answer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import httpx
import msgspec

from secondopinion import _audit, _feedback, _images, _reading, _usage
from secondopinion._answers import (
    AdvancedPrediction,
    BatchAnswer,
    BatchResult,
    Prediction,
    Receipt,
)
from secondopinion._audit import AuditFilter, AuditPage, AuditRow
from secondopinion._catalogue import AllLoadedReleases, Pipeline, Pipelines
from secondopinion._detections import Detections, DetectionsBatch
from secondopinion._errors import problem_error
from secondopinion._feedback import Cases, Deletion, FeedbackHistory, FeedbackReceipt, Finding
from secondopinion._images import Image
from secondopinion._request import Request
from secondopinion._usage import UsageFilter, UsageReport

_AUDIT = "/api/v1/audit"
_LONGEST_SECONDS = 86_400
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
        explain: Adds where each member of a classifier looked; of one image at a time. It counts as
            many images to the caller's rate, see the pipeline's `explanation`.
        keep_image: Consents that the service keeps the image, encrypted, where the pipeline keeps
            images; the answer's `kept` says whether it did.
        signed_receipt: Asks for a signature of each `receipt`.
        release: Asks this loaded release, such as a candidate; for callers with the role `operate`.
        respond_within: Seconds within which the answer is wanted, from the moment the service has
            the images; None: what the pipeline promises (`respond_within_ms`), of a batch as long
            as the service lets anybody wait. Where it cannot be kept, the service refuses at once,
            and `retries` say what follows. Who gives more time than the pipeline promises comes
            after the others.
    """

    pipeline: str | None
    threshold: float | None
    top_k: int | None
    member: str | None
    visualization: bool | None
    polygons: bool | None
    explain: bool | None
    keep_image: bool | None
    signed_receipt: bool | None
    release: str | None
    respond_within: float | None


class Page(TypedDict, total=False):
    """Which predictions of a pipeline to list.

    Attributes:
        unlabelled: Also those without feedback.
        since: From this moment on.
        until: Before this moment.
        after: The `next` of the page before.
        limit: Cases on a page, at most.
    """

    unlabelled: bool
    since: datetime | None
    until: datetime | None
    after: str | None
    limit: int | None


@dataclass(frozen=True)
class _Target:
    """Where a request about images goes, and what it asks for."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


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
        build=partial(_one_image, image, _target("predict", **choices)),
        read=partial(_reading.answer, kind=Prediction),
    )


def predict_advanced(image: Image, **choices: Unpack[Choices]) -> Call[AdvancedPrediction]:
    """Asks for a prediction with its uncertainty and each member's opinion."""
    return Call(
        build=partial(_one_image, image, _target("predict/advanced", **choices)),
        read=partial(_reading.answer, kind=AdvancedPrediction),
    )


def detect(image: Image, **choices: Unpack[Choices]) -> Call[Detections]:
    """Asks a detector what it finds."""
    return Call(
        build=partial(_one_image, image, _target("predict", **choices)),
        read=partial(_reading.answer, kind=Detections),
    )


def predict_batch(images: Iterable[Image], **choices: Unpack[Choices]) -> Call[BatchResult]:
    """Asks a classifier about several images in one request."""
    return _batch(images, BatchResult, _target("predict/batch", **choices))


def detect_batch(images: Iterable[Image], **choices: Unpack[Choices]) -> Call[DetectionsBatch]:
    """Asks a detector about several images in one request."""
    return _batch(images, DetectionsBatch, _target("predict/batch", **choices))


def _batch(images: Iterable[Image], kind: type[ManyImages], target: _Target) -> Call[ManyImages]:
    if isinstance(images, str | bytes | bytearray | memoryview):
        raise TypeError("images: a list of images was expected; a single one needs no batch")
    listed = list(images)
    if not listed:
        raise ValueError("images: none were given")
    names = [_images.name(image, index) for index, image in enumerate(listed)]
    return Call(
        build=partial(_many_images, listed, target),
        read=partial(_reading.batch, kind=kind, names=names),
    )


def pipelines() -> Call[Pipelines]:
    """Asks what the service offers."""
    return Call(
        build=partial(Request, method="GET", path="/api/v1/pipelines"),
        read=_reading.pipelines,
    )


def pipeline(name: str, release: str | None) -> Call[Pipeline]:
    """Asks about one pipeline, or about one of its loaded releases."""
    return Call(
        build=partial(
            Request,
            method="GET",
            path=f"/api/v1/pipelines/{quote(name, safe='')}",
            headers=_named(release),
        ),
        read=_reading.pipeline,
    )


def releases() -> Call[AllLoadedReleases]:
    """Asks which releases are loaded."""
    return _plain("GET", "/api/v1/releases", AllLoadedReleases)


def usage(
    by: Sequence[str], since: datetime | None, until: datetime | None, only: UsageFilter
) -> Call[UsageReport]:
    """Asks what was answered, and what it cost."""
    query = _usage.query(by, since, until, only)
    return Call(
        build=partial(Request, method="GET", path="/api/v1/usage", query=query),
        read=_reading.usage,
    )


def prediction(prediction_id: str) -> Call[AuditRow]:
    """Asks for the row of a prediction in the audit log."""
    return Call(
        build=partial(Request, method="GET", path=_of_prediction(prediction_id)),
        read=_reading.audit_row,
    )


def receipt(prediction_id: str) -> Call[Receipt]:
    """Asks for the signed receipt of a prediction."""
    return _plain("GET", _of_prediction(prediction_id, "receipt"), Receipt)


def audit(only: AuditFilter, limit: int | None, cursor: str | None) -> Call[AuditPage]:
    """Asks for a page of the audit log."""
    page = {"limit": limit, "cursor": cursor}
    query = _audit.query(only) | {n: str(value) for n, value in page.items() if value is not None}
    return Call(
        build=partial(Request, method="GET", path=_AUDIT, query=query), read=_reading.audit_page
    )


def audit_rows(only: AuditFilter) -> Request:
    """Asks for all rows of a filter, one a line."""
    return Request(method="GET", path=_AUDIT, query=_audit.query(only) | {"format": "jsonl"})


def ready(pipeline: str | None) -> Call[bool]:
    """Asks whether a prediction would be answered now; without retries."""
    query = {} if pipeline is None else {"pipeline": pipeline}
    return Call(
        build=partial(Request, method="GET", path="/readyz", query=query),
        read=_read_ready,
        once=True,
    )


def feedback(prediction_id: str, **finding: Unpack[Finding]) -> Call[FeedbackReceipt]:
    """Says what is right of a prediction."""
    content = msgspec.json.encode(_feedback.document(finding))
    return Call(
        build=partial(
            Request,
            method="POST",
            path=_of_prediction(prediction_id, "feedback"),
            content=content,
            content_type="application/json",
        ),
        read=partial(_reading.typed, kind=FeedbackReceipt),
    )


def feedback_history(prediction_id: str) -> Call[FeedbackHistory]:
    """Asks for all feedback of a prediction."""
    return _plain("GET", _of_prediction(prediction_id, "feedback"), FeedbackHistory)


def delete_comment(prediction_id: str, feedback_id: str) -> Call[Deletion]:
    """Deletes reader and comment of one feedback."""
    path = _of_prediction(prediction_id, f"feedback/{quote(feedback_id, safe='')}/comment")
    return _plain("DELETE", path, Deletion)


def cases(pipeline: str, **page: Unpack[Page]) -> Call[Cases]:
    """Asks for a page of a pipeline's predictions with their feedback."""
    query = {"pipeline": pipeline}
    for name, value in page.items():
        if isinstance(value, datetime):
            query[name] = value.isoformat()
        elif value is not None:
            query[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return _plain("GET", "/api/v1/feedback", Cases, query)


def kept_image(prediction_id: str) -> Call[bytes]:
    """Asks for the image of a prediction."""
    return Call(
        build=partial(Request, method="GET", path=_of_prediction(prediction_id, "image")),
        read=_read_bytes,
    )


def delete_kept_image(prediction_id: str) -> Call[Deletion]:
    """Has the kept image of a prediction destroyed."""
    return _plain("DELETE", _of_prediction(prediction_id, "image"), Deletion)


def _of_prediction(prediction_id: str, what: str = "") -> str:
    path = f"/api/v1/predictions/{quote(prediction_id, safe='')}"
    return f"{path}/{what}" if what else path


def _plain(method: str, path: str, kind: type[T], query: dict[str, str] | None = None) -> Call[T]:
    return Call(
        build=partial(Request, method=method, path=path, query=query or {}),
        read=partial(_reading.typed, kind=kind),
    )


def _read_bytes(response: httpx.Response) -> bytes:
    if not response.is_success:
        raise problem_error(response)
    return response.content


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
    explain: bool | None = None,
    keep_image: bool | None = None,
    signed_receipt: bool | None = None,
    release: str | None = None,
    respond_within: float | None = None,
) -> _Target:
    """Raises TypeError for an unknown keyword, and ValueError for a time that is none."""
    under = "" if pipeline is None else f"pipelines/{quote(pipeline, safe='')}/"
    chosen = {
        "threshold": threshold,
        "top_k": top_k,
        "member": member,
        "visualization": _word(visualization),
        "polygons": _word(polygons),
        "explain": _word(explain),
    }
    query = {name: str(value) for name, value in chosen.items() if value is not None}
    wishes = {"X-Keep-Image": keep_image, "X-Signed-Receipt": signed_receipt}
    headers = {name: "yes" if wish else "no" for name, wish in wishes.items() if wish is not None}
    headers |= _named(release)
    if respond_within is not None:
        if not 0 < respond_within <= _LONGEST_SECONDS:
            raise ValueError(f"respond_within: {respond_within}; give seconds, a day at most")
        headers["X-Respond-Within-Ms"] = str(max(1, round(respond_within * 1000)))
    return _Target(f"/api/v1/{under}{route}", query, headers)


def _named(release: str | None) -> dict[str, str]:
    return {} if release is None else {"X-Release": release}


def _word(choice: bool | None) -> str | None:
    return None if choice is None else str(choice).lower()


def _one_image(image: Image, target: _Target) -> Request:
    # Raw bytes and not multipart: file names of photos often hold a patient's name.
    return Request(
        method="POST",
        path=target.path,
        query=target.query,
        content=_images.read(image),
        content_type="application/octet-stream",
        headers=target.headers,
        # The service stores no pictures, so that it refuses a key with one.
        once_by_key="visualization" not in target.query,
    )


def _many_images(images: list[Image], target: _Target) -> Request:
    # Neutral names for the same reason; the caller's are put back when the answer is read.
    files = [
        ("files", (f"image-{index}", _images.read(image))) for index, image in enumerate(images)
    ]
    return Request(
        method="POST",
        path=target.path,
        query=target.query,
        files=files,
        headers=target.headers,
        once_by_key=True,
    )
