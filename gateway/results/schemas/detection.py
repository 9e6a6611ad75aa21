"""The shapes of a detection's and a segmentation's answers."""

from pydantic import Field

from gateway.results.detection import Rle
from gateway.results.schemas.answer import Answer, BatchEntry, BatchSummary, MemberFacts, Shape


class DetectedObject(Shape):
    """One object."""

    label: str = Field(alias="class")
    score: float = Field(ge=0, le=1)
    box: tuple[float, float, float, float] = Field(
        description="x1, y1, x2, y2 in pixels of the image after its EXIF orientation."
    )
    area: float = Field(description="In pixels: of the mask, without one of the box.")
    mask: Rle | None = Field(None, description="A COCO RLE. Segmentation only.")
    polygons: list[list[float]] | None = Field(
        None, description="Outlines of the mask, each x, y, x, y, ...; only where asked for."
    )


class ImageSize(Shape):
    """Of the image after its EXIF orientation, in pixels."""

    width: int
    height: int


class DetectionMetrics(Shape):
    """The detections in numbers, in their order."""

    count: int
    class_distribution: dict[str, int] = Field(description="Every class; 0 where there is none.")
    scores: list[float]
    areas: list[float]


class DetectionPrediction(Answer):
    """The objects of an image."""

    predictions: list[DetectedObject] = Field(
        description="By score, the largest first; empty where nothing reaches the threshold."
    )
    image: ImageSize
    metrics: DetectionMetrics
    members: dict[str, MemberFacts]
    visualization: str | None = Field(
        None, description="A PNG of the image with its objects, in base64; only where asked for."
    )


class BatchDetectionResult(BatchEntry):
    """One image's objects, or its error."""

    predictions: list[DetectedObject] | None = None
    image: ImageSize | None = None
    metrics: DetectionMetrics | None = None


class BatchDetectionPrediction(Answer):
    """Objects or an error for each image, in their order."""

    members: dict[str, MemberFacts]
    results: list[BatchDetectionResult]
    summary: BatchSummary
