"""From an HTTP response to the results of a batch."""

from collections.abc import Callable
from typing import Any, TypedDict, TypeVar

import httpx

from secondopinion._batches import (
    BatchItem,
    BatchPlace,
    BatchResult,
    BatchSummary,
    DetectionsBatch,
    DetectionsItem,
)
from secondopinion._errors import UnexpectedAnswerError
from secondopinion._fields import Fields
from secondopinion._problem import Problem, problem_from
from secondopinion._reading import body_of, uncertainty
from secondopinion._reading_detections import found

Item = TypeVar("Item", bound=BatchPlace)


def batch(response: httpx.Response, names: list[str]) -> BatchResult:
    """Reads the answer of a classifier's `predict/batch`; `names` are the caller's, in order.

    A problem document that carries results (no image was answered) is a result as well.
    """
    body = _batch_body(response)
    return BatchResult(results=_items(body, names, _item), **_common(body))


def detections_batch(response: httpx.Response, names: list[str]) -> DetectionsBatch:
    """Reads the answer of a detector's `predict/batch`, likewise."""
    body = _batch_body(response)
    return DetectionsBatch(results=_items(body, names, _detections_item), **_common(body))


def _batch_body(response: httpx.Response) -> Fields:
    if not response.is_success:
        try:
            document = response.json()
        except ValueError:
            document = None
        if isinstance(document, dict) and "results" in document:
            return Fields(document, "answer")
    return body_of(response)


def _items(
    body: Fields, names: list[str], read: Callable[[Fields, "_Place"], Item]
) -> tuple[Item, ...]:
    fields = body.object_items("results")
    items = [read(item, _place(item, names)) for item in fields]
    items.sort(key=lambda item: item.index)
    if [item.index for item in items] != list(range(len(names))):
        raise UnexpectedAnswerError(f"results: {len(items)} for {len(names)} images")
    return tuple(items)


class _Place(TypedDict):
    index: int
    filename: str
    error: Problem | None


def _place(item: Fields, names: list[str]) -> _Place:
    index = item.whole("index")
    error = item.object_or_none("error")
    return {
        "index": index,
        "filename": names[index] if 0 <= index < len(names) else f"image {index}",
        "error": problem_from(error.raw) if error else None,
    }


def _item(item: Fields, place: _Place) -> BatchItem:
    answered = place["error"] is None
    if answered and "prediction" not in item.raw and "predictions" in item.raw:
        raise UnexpectedAnswerError("results are detections; ask with detect_batch()")
    unsure = item.object_or_none("uncertainty")
    return BatchItem(
        prediction=item.text("prediction") if answered else None,
        confidence=item.number("confidence") if answered else None,
        probabilities=item.numbers("probabilities"),
        uncertainty=uncertainty(unsure) if unsure else None,
        **place,
    )


def _detections_item(item: Fields, place: _Place) -> DetectionsItem:
    if place["error"] is not None:
        return DetectionsItem(predictions=(), image=None, metrics=None, **place)
    if "predictions" not in item.raw and "prediction" in item.raw:
        raise UnexpectedAnswerError("results are classes; ask with predict_batch()")
    return DetectionsItem(**found(item), **place)


class _Common(TypedDict):
    request_id: str | None
    pipeline: str | None
    release: str | None
    threshold: float | None
    weights: str | None
    summary: BatchSummary
    raw: dict[str, Any]


def _common(body: Fields) -> _Common:
    summary = body.object("summary")
    return {
        "request_id": body.text_or_none("request_id"),
        "pipeline": body.text_or_none("pipeline"),
        "release": body.text_or_none("release"),
        "threshold": body.number_or_none("threshold"),
        "weights": body.text_or_none("weights"),
        "summary": BatchSummary(
            total=summary.whole("total"),
            failed=summary.whole("failed"),
            counts={name: int(count) for name, count in summary.numbers("counts").items()},
            average_confidence=summary.number_or_none("average_confidence"),
        ),
        "raw": body.raw,
    }
