"""What a detector found, typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from secondopinion._answers import Answer


class Box(NamedTuple):
    """Left, top, right and bottom in pixels of the upright image, within its borders."""

    x1: float
    y1: float
    x2: float
    y2: float


class ImageSize(NamedTuple):
    """Pixels of the upright image (after its EXIF orientation), to which boxes and masks refer."""

    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Mask:
    """Which pixels belong to an object: COCO's compressed run-length encoding.

    `pycocotools.mask.decode({"size": mask.size, "counts": mask.counts})` makes an array of it.

    Attributes:
        size: Height and width of the upright image.
        counts: The runs, as COCO writes them.
    """

    size: tuple[int, int]
    counts: str


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One object in the image.

    Attributes:
        class_name: What it is (`class` in the JSON).
        score: How sure the model is, 0 to 1.
        area: In pixels: of the mask where there is one, else of the box.
        mask: Its pixels; None where the pipeline does not segment.
        polygons: Outlines of the mask, each x, y, x, y, ...; None where they were not asked for.
    """

    class_name: str
    score: float
    box: Box
    area: float
    mask: Mask | None
    polygons: tuple[tuple[float, ...], ...] | None


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Figures over the detections of one image.

    Attributes:
        count: How many there are.
        class_distribution: How many of each class; every class of the pipeline is named.
        scores: In the order of the detections, 0 to 1.
        areas: Likewise, in pixels.
    """

    count: int
    class_distribution: Mapping[str, int]
    scores: tuple[float, ...]
    areas: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Detections(Answer):
    """A detector's answer for one image.

    Attributes:
        predictions: The objects, the surest first; empty where there is none.
        visualization: A PNG of the image with the objects drawn on it; None where it was not
            asked for.
    """

    predictions: tuple[Detection, ...]
    image: ImageSize
    metrics: Metrics
    visualization: bytes | None = field(repr=False)
