"""What comes back for several images at once, typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from secondopinion._answers import Uncertainty
from secondopinion._detections import Detection, ImageSize, Metrics
from secondopinion._problem import Problem


@dataclass(frozen=True, kw_only=True)
class BatchPlace:
    """One image's place in a batch.

    Attributes:
        index: Place among the images that were sent, from 0.
        filename: The path as it was given, else `image INDEX`.
        error: Why this image has no answer; the other fields are then None or empty.
    """

    index: int
    filename: str
    error: Problem | None


@dataclass(frozen=True, kw_only=True)
class BatchItem(BatchPlace):
    """What a classifier says about one image, or `error`."""

    prediction: str | None
    confidence: float | None
    probabilities: Mapping[str, float]
    uncertainty: Uncertainty | None


@dataclass(frozen=True, kw_only=True)
class DetectionsItem(BatchPlace):
    """What a detector found in one image, or `error`."""

    predictions: tuple[Detection, ...]
    image: ImageSize | None
    metrics: Metrics | None


@dataclass(frozen=True, kw_only=True)
class BatchSummary:
    """Counts over a batch.

    Attributes:
        counts: Images of each class; of a detector, detections of each class.
        average_confidence: Over the answered images; of a detector, the mean score over all
            detections. None if there is none.
    """

    total: int
    failed: int
    counts: Mapping[str, int]
    average_confidence: float | None


@dataclass(frozen=True, kw_only=True)
class BatchAnswer:
    """What every batch's answer carries.

    Attributes:
        pipeline: Name of the pipeline; None, as `release`, where no image was answered.
        raw: The answer as it was received.
    """

    request_id: str | None
    pipeline: str | None
    release: str | None
    threshold: float | None
    weights: str | None
    summary: BatchSummary
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class BatchResult(BatchAnswer):
    """A classifier's answers, in the order of the images."""

    results: tuple[BatchItem, ...]


@dataclass(frozen=True, kw_only=True)
class DetectionsBatch(BatchAnswer):
    """A detector's answers, in the order of the images."""

    results: tuple[DetectionsItem, ...]
