"""What Triton detected in one image, in Python's types. Nothing here is computed."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from gateway.core.catalog import Pipeline
from gateway.triton.outputs import Outputs, misfit
from pipelines.enums import Task
from pipelines.protocol import Detected


class Rle(BaseModel):
    """A mask over the whole image, as COCO's compressed run lengths."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: list[int] = Field(min_length=2, max_length=2, description="Height and width.")
    counts: str


_POLYGONS = TypeAdapter(list[list[FiniteFloat]])


@dataclass(frozen=True, slots=True)
class Detection:
    """One object."""

    label: str
    score: float
    box: list[float]
    """x1, y1, x2, y2 in pixels of the upright image."""
    area: float
    """In pixels: of the mask, without one of the box."""
    mask: Rle | None
    """Of a segmentation."""
    polygons: list[list[float]] | None
    """Outlines of the mask [[x, y, x, y, ...], ...]; None where they were not asked for."""


@dataclass(frozen=True, slots=True)
class Detections:
    """The outputs of a detection or segmentation ensemble, with the facts behind them."""

    pipeline: Pipeline
    heard: tuple[str, ...]
    """The member that spoke."""
    detections: list[Detection]
    """By score, the largest first."""
    width: int
    """Of the upright image, in pixels."""
    height: int
    threshold: float
    """The score from which on detections are answered."""
    visualization: bytes
    """A PNG of the image with what was found; empty where it was not asked for."""

    @classmethod
    def read(cls, outputs: Outputs, pipeline: Pipeline, member: str | None) -> Self:
        """Reads the tensors of one answer.

        Args:
            outputs: the tensors.
            pipeline: the facts that it was decided by.
            member: the one member that was asked; None: the one that the facts say.

        Raises:
            RefusedError: with `model_output` where they do not fit the pipeline's facts.
        """
        height, width = outputs.ints(Detected.IMAGE_SIZE, 2)
        (threshold,) = outputs.floats(Detected.THRESHOLD, 1)
        (visualization,) = outputs.strings(Detected.VISUALIZATION, 1)
        if height < 1 or width < 1 or not math.isfinite(threshold):
            raise misfit()
        return cls(
            pipeline=pipeline,
            heard=pipeline.heard(member),
            detections=_detections(outputs, pipeline, height, width),
            width=width,
            height=height,
            threshold=threshold,
            visualization=visualization,
        )

    @property
    def named(self) -> list[tuple[str, float]]:
        """Class and score of each detection."""
        return [(detection.label, detection.score) for detection in self.detections]

    @property
    def counts(self) -> dict[str, int]:
        """Detections of each class, in the classes' order; 0 where there is none."""
        found = Counter(detection.label for detection in self.detections)
        return {name: found[name] for name in self.pipeline.spec.classes}


def _detections(outputs: Outputs, pipeline: Pipeline, height: int, width: int) -> list[Detection]:
    scores = outputs.floats(Detected.SCORES)
    count = len(scores)
    boxes = outputs.floats(Detected.BOXES, 4 * count)
    classes = outputs.ints(Detected.CLASSES, count)
    areas = outputs.floats(Detected.AREAS, count)
    masks: list[Rle | None] = [None] * count
    polygons: list[list[list[float]] | None] = [None] * count
    if pipeline.spec.task is Task.SEGMENTATION:
        masks = [_mask(text, height, width) for text in outputs.strings(Detected.MASKS, count)]
        polygons = [_polygons(text) for text in outputs.strings(Detected.POLYGONS, count)]
    detections = []
    for index, (score, label, area) in enumerate(zip(scores, classes, areas, strict=True)):
        box = boxes[4 * index : 4 * index + 4]
        fits = (
            0 <= score <= 1
            and 0 <= area < math.inf
            and 0 <= box[0] <= box[2] <= width
            and 0 <= box[1] <= box[3] <= height
            and label in range(len(pipeline.spec.classes))
        )
        if not fits:
            raise misfit()
        detections.append(
            Detection(pipeline.spec.classes[label], score, box, area, masks[index], polygons[index])
        )
    return detections


def _mask(text: bytes, height: int, width: int) -> Rle:
    try:
        mask = Rle.model_validate_json(text)
    except ValidationError:
        raise misfit() from None
    if mask.size != [height, width]:
        raise misfit()
    return mask


def _polygons(text: bytes) -> list[list[float]] | None:
    if not text:
        return None
    try:
        return _POLYGONS.validate_json(text)
    except ValidationError:
        raise misfit() from None
