"""What people say of predictions, as types: feedback, its history, and the cases it is about."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from msgspec import Struct, field

from secondopinion._answers import Receipt
from secondopinion._detections import Box, ImageSize, Mask


class LabelledObject(Struct, frozen=True, kw_only=True):
    """An object that a person says is in the image.

    Attributes:
        class_name: What it is (`class` in the JSON).
        box: The service adds it where only a mask was sent; None is for sending alone.
        mask: Its pixels, where the pipeline segments.
    """

    class_name: str = field(name="class")
    box: Box | None = None
    mask: Mask | None = None


class Finding(TypedDict, total=False):
    """What a person says of a prediction.

    Attributes:
        label: Of a classifier: the true class.
        objects: Of a detector: all objects of the image; none is an empty list.
        kind: `correction` (the default) is what is right, also where it confirms the models;
            `before` is the reader's own finding, recorded before the models' was shown.
        reader: Who says so.
        comment: Free text. Both are kept where they can be deleted.
    """

    label: str | None
    objects: Sequence[LabelledObject] | None
    kind: str | None
    reader: str | None
    comment: str | None


class FeedbackReceipt(Struct, frozen=True, kw_only=True):
    """That a feedback is durable."""

    id: str
    prediction_id: str
    at: str
    receipt: Receipt


class FeedbackEntry(Struct, frozen=True, kw_only=True):
    """One feedback of a prediction's history.

    Attributes:
        at: When it was recorded, ISO 8601 in UTC.
        by: Name of the caller's key.
        reader: Who said so; None where nobody was named, or the name was deleted.
        comment: Likewise.
        deleted: Whether reader and comment were deleted.
    """

    id: str
    at: str
    kind: str
    by: str
    label: str | None = None
    objects: tuple[LabelledObject, ...] | None = None
    reader: str | None = None
    comment: str | None = None
    deleted: bool = False


class FeedbackHistory(Struct, frozen=True, kw_only=True):
    """All feedback of one prediction, the first one first."""

    prediction_id: str
    pipeline: str
    release: str
    feedback: tuple[FeedbackEntry, ...]


class RecordedDetection(Struct, frozen=True, kw_only=True):
    """A detection as the service recorded it: without its mask."""

    class_name: str = field(name="class")
    score: float
    box: Box


class Case(Struct, frozen=True, kw_only=True):
    """A prediction as it was recorded, and its feedback.

    Attributes:
        site: Name of the key that asked.
        image_kept: Whether the image can still be had.
        member: The one member that was asked alone, else None.
        prediction: Of a classifier.
        detections: Of a detector.
        image: Of a detector: the size of the upright image.
    """

    prediction_id: str
    at: str
    pipeline: str
    release: str
    site: str
    image_kept: bool
    member: str | None = None
    prediction: str | None = None
    confidence: float | None = None
    level: str | None = None
    threshold: float | None = None
    detections: tuple[RecordedDetection, ...] | None = None
    image: ImageSize | None = None
    feedback: tuple[FeedbackEntry, ...] = ()


class Cases(Struct, frozen=True, kw_only=True):
    """A page of cases, in the order of their predictions; `next` asks for the next page."""

    cases: tuple[Case, ...]
    next: str | None = None


class Deletion(Struct, frozen=True, kw_only=True):
    """Whether there was something to delete."""

    deleted: bool


def document(finding: Mapping[str, Any]) -> dict[str, Any]:
    """A finding as JSON, without what is None."""
    said = {name: value for name, value in finding.items() if value is not None}
    if (objects := said.get("objects")) is not None:
        said["objects"] = [_object(each) for each in objects]
    return said


def _object(each: LabelledObject) -> dict[str, Any]:
    said: dict[str, Any] = {"class": each.class_name}
    if each.box is not None:
        said["box"] = list(each.box)
    if each.mask is not None:
        said["mask"] = {"size": list(each.mask.size), "counts": each.mask.counts}
    return said
