"""The JSON shapes of feedback, of its history, and of the cases that it is about."""

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from gateway.feedback.finding import Kind
from gateway.results.shapes import ImageSize, Level, Probability, ReceiptFacts, Rle, closed, doc

_Box = Annotated[
    list[float],
    Field(
        min_length=4,
        max_length=4,
        description="x1, y1, x2, y2 in pixels of the image after its EXIF orientation.",
    ),
]

# Written as calls, because `class` is a keyword.
FoundObject = TypedDict(
    "FoundObject",
    {
        "class": str,
        "box": _Box,
        "mask": NotRequired[Annotated[Rle, doc("Segmentation, where it was sent.")]],
    },
)
closed(FoundObject)
RecordedDetection = TypedDict(
    "RecordedDetection", {"class": str, "score": Probability, "box": _Box}
)
closed(RecordedDetection)


@closed
class FeedbackReceipt(TypedDict):
    """That a feedback is durable."""

    id: str
    prediction_id: str
    at: str
    receipt: ReceiptFacts


@closed
class FeedbackEntry(TypedDict):
    """One feedback."""

    id: str
    at: Annotated[str, doc("ISO 8601, UTC.")]
    kind: Kind
    by: Annotated[str, doc("Name of the caller's key.")]
    label: NotRequired[Annotated[str, doc("Of a classification.")]]
    objects: NotRequired[Annotated[list[FoundObject], doc("Of a detection or segmentation.")]]
    reader: str | None
    comment: str | None
    deleted: Annotated[bool, doc("Whether reader and comment were deleted.")]


@closed
class FeedbackHistory(TypedDict):
    """All feedback of a prediction, the first one first."""

    prediction_id: str
    pipeline: str
    release: str
    feedback: list[FeedbackEntry]


@closed
class Case(TypedDict):
    """A prediction as it was recorded, and its feedback."""

    prediction_id: str
    at: str
    pipeline: str
    release: str
    site: Annotated[str, doc("Name of the key that asked.")]
    image_kept: Annotated[bool, doc("Whether the image can still be had.")]
    member: NotRequired[Annotated[str, doc("Only where the request chose one member.")]]
    prediction: NotRequired[Annotated[str, doc("Of a classification, as are the next two.")]]
    confidence: NotRequired[Probability]
    level: NotRequired[Level]
    threshold: NotRequired[Annotated[float, doc("Only where a threshold decided.")]]
    detections: NotRequired[
        Annotated[list[RecordedDetection], doc("Of a detection or segmentation, as is the next.")]
    ]
    image: NotRequired[ImageSize]
    feedback: list[FeedbackEntry]


@closed
class Cases(TypedDict):
    """A page of cases, in the order of their predictions."""

    cases: list[Case]
    next: Annotated[str | None, doc("`after` of the next page; null on the last one.")]


@closed
class Deletion(TypedDict):
    """Whether there was something to delete."""

    deleted: bool
