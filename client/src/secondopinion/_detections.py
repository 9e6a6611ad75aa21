"""The answers of a detector, as types."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from secondopinion._answers import Answer, BatchAnswer, BatchPlace


class Box(NamedTuple):
    """Left, top, right and bottom in pixels of the upright image, within its borders."""

    x1: float
    y1: float
    x2: float
    y2: float


class ImageSize(Struct, frozen=True, eq=False):
    """Pixels of the upright image (after its EXIF orientation), to which boxes and masks refer.

    It unpacks as, and is equal to, the tuple (width, height).
    """

    width: int
    height: int

    def __iter__(self) -> Iterator[int]:
        return iter((self.width, self.height))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImageSize | tuple) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


class Mask(Struct, frozen=True, kw_only=True):
    """Which pixels belong to an object: COCO's compressed run-length encoding.

    `pycocotools.mask.decode({"size": mask.size, "counts": mask.counts})` makes an array of it.

    Attributes:
        size: Height and width of the upright image.
        counts: The runs, as COCO writes them.
    """

    size: tuple[int, int]
    counts: str


class Detection(Struct, frozen=True, kw_only=True):
    """One object in the image.

    Attributes:
        class_name: What it is (`class` in the JSON).
        score: How sure the model is, 0 to 1.
        area: In pixels: of the mask where there is one, else of the box.
        mask: Its pixels; None where the pipeline does not segment.
        polygons: Outlines of the mask, each x, y, x, y, ...; None where they were not asked for.
    """

    class_name: str = field(name="class")
    score: float
    box: Box
    area: float
    mask: Mask | None = None
    polygons: tuple[tuple[float, ...], ...] | None = None


class Metrics(Struct, frozen=True, kw_only=True):
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


class Detections(Answer, frozen=True, kw_only=True):
    """A detector's answer for one image.

    Attributes:
        predictions: The objects, the surest first; empty where there is none.
        visualization: A PNG of the image with the objects drawn on it; None where it was not
            asked for.
    """

    predictions: tuple[Detection, ...]
    image: ImageSize
    metrics: Metrics
    visualization: bytes | None = None


class DetectionsItem(BatchPlace, frozen=True, kw_only=True):
    """A detector's answer for one image, or `error`."""

    predictions: tuple[Detection, ...] = ()
    image: ImageSize | None = None
    metrics: Metrics | None = None

    def __post_init__(self) -> None:
        """Refuses an image with neither detections nor an error."""
        self._need("image")
        self._need("metrics")


class DetectionsBatch(BatchAnswer, frozen=True, kw_only=True):
    """A detector's answers, in the order of the images."""

    results: tuple[DetectionsItem, ...]
