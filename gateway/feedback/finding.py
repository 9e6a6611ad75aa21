"""What a person found in an image: read from a request, and checked against the pipeline's task."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from gateway.errors import Code, RefusedError
from gateway.feedback.run_lengths import box_of
from pipelines.enums import Task
from pipelines.spec import PipelineSpec

LONGEST_COMMENT = 10_000
LONGEST_READER = 200
MOST_OBJECTS = 1000
LARGEST = 1024 * 1024
"""Bytes of the whole body."""
_LABEL = 64
"""Characters of the longest name of a class."""


class Kind(StrEnum):
    """When a person said it."""

    BEFORE = "before"
    """Before they saw the models' answer: their own reading."""
    CORRECTION = "correction"
    """What is right, with the models' answer in view; also where it confirms that answer."""


def _storable(text: str) -> str:
    """Databases refuse NUL; other control characters but for line breaks are no text."""
    if any(ord(each) < ord(" ") and each not in "\n\r\t" for each in text):
        raise ValueError("it has control characters")
    return text


_Text = Annotated[str, AfterValidator(_storable)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Mask(_Part):
    """A mask over the whole upright image, as COCO's compressed run lengths."""

    size: Annotated[
        list[Annotated[int, Field(ge=1)]],
        Field(min_length=2, max_length=2, description="Height and width."),
    ]
    counts: str


class LabelledObject(_Part):
    """An object that is in the image."""

    model_config = ConfigDict(populate_by_name=True)

    label: str = Field(alias="class", max_length=_LABEL)
    box: (
        Annotated[
            list[FiniteFloat],
            Field(
                min_length=4,
                max_length=4,
                description="x1, y1, x2, y2 in pixels of the image after its EXIF orientation; "
                "may be left out where there is a mask.",
            ),
        ]
        | None
    ) = None
    mask: Mask | None = Field(default=None, description="Segmentation only.")


class Feedback(_Part):
    """What a person says of a prediction. The fields of the pipeline's task are needed."""

    kind: Annotated[Kind, Field(strict=False)] = Field(
        default=Kind.CORRECTION,
        description="`before`: the reader's own finding before the models' was shown. "
        "`correction`: what is right.",
    )
    label: str | None = Field(
        default=None, max_length=_LABEL, description="Classification: the true class."
    )
    objects: Annotated[list[LabelledObject], Field(max_length=MOST_OBJECTS)] | None = Field(
        default=None,
        description="Detection, segmentation: all objects of the image; none: an empty list.",
    )
    reader: Annotated[_Text, Field(min_length=1, max_length=LONGEST_READER)] | None = Field(
        default=None, description="Who says so. Kept where it can be deleted."
    )
    comment: Annotated[_Text, Field(min_length=1, max_length=LONGEST_COMMENT)] | None = Field(
        default=None, description="Free text. Kept where it can be deleted."
    )

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Reads a request's body, JSON in UTF-8.

        Raises:
            RefusedError: it is no JSON, or has another shape.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise RefusedError(
                Code.MALFORMED_BODY, "body: it is no JSON in UTF-8. Send the feedback as JSON."
            )
        # Only names of our own fields are repeated; an unknown key is the caller's text.
        where = first["loc"][:-1] if first["type"] == "extra_forbidden" else first["loc"]
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            what = "it has an unknown key"
        raise _refused(_path(where), f"{what}. See /docs for the shape.")

    def finding(self, spec: PipelineSpec, size: tuple[int, int] | None) -> dict[str, Any]:
        """What is recorded of it: `label`, or `objects` that all have a box.

        Args:
            spec: the facts of the pipeline that made the prediction.
            size: width and height of the upright image; None where they are not known.

        Raises:
            RefusedError: with `feedback_invalid`, as it does not fit the pipeline.
        """
        if spec.task is Task.CLASSIFICATION:
            if self.objects is not None:
                raise _refused("objects", "the pipeline classifies. Send the true `label`.")
            if self.label is None:
                raise _refused("label", f"missing. Send one of: {', '.join(spec.classes)}.")
            _check_class("label", self.label, spec)
            return {"label": self.label}
        if self.label is not None:
            raise _refused("label", "the pipeline detects. Send `objects`; none: an empty list.")
        if self.objects is None:
            raise _refused("objects", "missing. Send all of the image; none: an empty list.")
        found = [
            _object(f"objects[{index}]", each, spec, size)
            for index, each in enumerate(self.objects)
        ]
        return {"objects": found}


def _object(
    where: str, each: LabelledObject, spec: PipelineSpec, size: tuple[int, int] | None
) -> dict[str, Any]:
    _check_class(f"{where}.class", each.label, spec)
    found: dict[str, Any] = {"class": each.label}
    box = each.box
    if each.mask is not None:
        if spec.task is not Task.SEGMENTATION:
            raise _refused(f"{where}.mask", "the pipeline answers boxes alone. Leave it out.")
        height, width = each.mask.size
        if size not in {None, (width, height)}:
            raise _refused(f"{where}.mask.size", "it is not the height and width of the image.")
        try:
            around = box_of(each.mask.counts, height, width)
        except ValueError as error:
            detail = f"no mask in COCO's compressed run lengths: {error}."
            raise _refused(f"{where}.mask", detail) from None
        box = list(around) if box is None else box
        size = size or (width, height)
        found["mask"] = each.mask.model_dump()
    if box is None:
        raise _refused(f"{where}.box", "missing. Send x1, y1, x2, y2 in pixels.")
    if not (0 <= box[0] < box[2] and 0 <= box[1] < box[3]):
        raise _refused(f"{where}.box", "it must have 0 <= x1 < x2 and 0 <= y1 < y2.")
    if size is not None and (box[2] > size[0] or box[3] > size[1]):
        raise _refused(f"{where}.box", "it lies beyond the image's width or height.")
    found["box"] = [float(number) for number in box]
    return found


def _check_class(where: str, label: str, spec: PipelineSpec) -> None:
    if label not in spec.classes:
        raise _refused(where, f"the pipeline has no such class. It has: {', '.join(spec.classes)}.")


def _path(location: tuple[int | str, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return text.removeprefix(".") or "body"


def _refused(where: str, detail: str) -> RefusedError:
    return RefusedError(Code.FEEDBACK_INVALID, f"{where}: {detail}")
