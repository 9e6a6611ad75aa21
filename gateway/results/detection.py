"""The result of a detection or segmentation, read from Triton's tensors, and its answers."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import ValidationError

from gateway.core.catalog import Pipeline
from gateway.core.request import RequestParameters
from gateway.results import typicality
from gateway.results.compute import ComputeTime
from gateway.results.facts import ImageStamp, basis, member_facts, origin
from gateway.results.photo_quality import PhotoQuality
from gateway.results.shapes import (
    DetectedObject,
    DetectionAnswer,
    Detections,
    ImageKind,
    Polygons,
    Rle,
    adapter,
)
from gateway.triton.outputs import Outputs, invalid_model_output
from pipelines.enums import Task
from pipelines.protocol import Detected


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """The outputs of a detection or segmentation ensemble for one image, and its facts.

    Nothing here is computed: the numbers are Triton's.
    """

    pipeline: Pipeline
    answering_members: tuple[str, ...]
    """Name of the one member that answered."""
    objects: list[DetectedObject]
    """By score, the largest first."""
    width: int
    """Of the upright image, in pixels."""
    height: int
    threshold: float
    """The score from which on detections are answered."""
    visualization: bytes
    """A PNG of the image with its objects; empty where it was not asked for."""
    quality: PhotoQuality
    kind: ImageKind
    """Whether the image is of the kind that the model learnt from."""
    compute: ComputeTime

    @classmethod
    def read(cls, outputs: Outputs, pipeline: Pipeline, parameters: RequestParameters) -> Self:
        """Reads the tensors of one image.

        Args:
            outputs: the tensors.
            pipeline: the facts of the release that answered.
            parameters: of the request.

        Raises:
            RefusedError: with `model_output` where they do not fit the pipeline's facts.
        """
        height, width = outputs.ints(Detected.IMAGE_SIZE, 2)
        (threshold,) = outputs.floats(Detected.THRESHOLD, 1)
        (visualization,) = outputs.strings(Detected.VISUALIZATION, 1)
        if height < 1 or width < 1 or not math.isfinite(threshold):
            raise invalid_model_output()
        return cls(
            pipeline=pipeline,
            answering_members=pipeline.answering_members(parameters.member),
            objects=_objects(outputs, pipeline, height, width),
            width=width,
            height=height,
            threshold=threshold,
            visualization=visualization,
            quality=PhotoQuality.read(outputs, pipeline),
            kind=typicality.read(outputs, pipeline),
            compute=ComputeTime.read(outputs, pipeline, parameters.member),
        )

    @property
    def calibration(self) -> Mapping[str, object]:
        """A detector's scores are never calibrated, and its answers do not speak of it."""
        return {}

    @property
    def label_scores(self) -> list[tuple[str, float]]:
        """Class and score of each object."""
        return [(found["class"], found["score"]) for found in self.objects]


def _objects(outputs: Outputs, pipeline: Pipeline, height: int, width: int) -> list[DetectedObject]:
    scores = outputs.floats(Detected.SCORES)
    count = len(scores)
    boxes = outputs.floats(Detected.BOXES, 4 * count)
    labels = outputs.ints(Detected.CLASSES, count)
    areas = outputs.floats(Detected.AREAS, count)
    segmented = pipeline.spec.task is Task.SEGMENTATION
    masks = outputs.strings(Detected.MASKS, count) if segmented else []
    polygons = outputs.strings(Detected.POLYGONS, count) if segmented else []
    objects = []
    for index, (score, label, area) in enumerate(zip(scores, labels, areas, strict=True)):
        box = boxes[4 * index : 4 * index + 4]
        valid = (
            0 <= score <= 1
            and 0 <= area < math.inf
            and 0 <= box[0] <= box[2] <= width
            and 0 <= box[1] <= box[3] <= height
            and label in range(len(pipeline.spec.classes))
        )
        if not valid:
            raise invalid_model_output()
        found: DetectedObject = {
            "class": pipeline.spec.classes[label],
            "score": score,
            "box": box,
            "area": area,
        }
        if segmented:
            found["mask"] = _mask(masks[index], height, width)
            if polygons[index]:
                found["polygons"] = _polygons(polygons[index])
        objects.append(found)
    return objects


def _mask(text: bytes, height: int, width: int) -> Rle:
    try:
        mask: Rle = adapter(Rle).validate_json(text, strict=True)
    except ValidationError:
        raise invalid_model_output() from None
    if mask["size"] != [height, width]:
        raise invalid_model_output()
    return mask


def _polygons(text: bytes) -> list[list[float]]:
    try:
        polygons: list[list[float]] = adapter(Polygons).validate_json(text)
    except ValidationError:
        raise invalid_model_output() from None
    return polygons


def answer(
    result: DetectionResult, parameters: RequestParameters, stamp: ImageStamp
) -> DetectionAnswer:
    """The answer about one image, but for its picture, which is added to the JSON later."""
    return {
        "request_id": stamp.request_id,
        **stamp.account.facts(),
        **origin(result.pipeline, parameters),
        **in_batch(result, parameters),
        **basis(result.pipeline, result.threshold),
        "members": member_facts(result.pipeline, result.answering_members),
        "processing_time_ms": stamp.processing_time_ms,
    }


def record(result: DetectionResult) -> dict[str, Any]:
    """What the audit log keeps of a result: classes, boxes and scores, and no masks."""
    kept = ("class", "score", "box")
    return {
        "predictions": [{name: dict(found)[name] for name in kept} for found in result.objects],
        "image": {"width": result.width, "height": result.height},
        "quality": result.quality.record(),
        "input": result.kind,
        "members": list(result.answering_members),
        **basis(result.pipeline, result.threshold),
    }


def in_batch(result: DetectionResult, _: RequestParameters) -> Detections:
    """The objects of one image: its entry in a batch, and the main part of its own answer."""
    counts = Counter(found["class"] for found in result.objects)
    return {
        "input": result.kind,
        **result.compute.facts(),
        "predictions": result.objects,
        "image": {"width": result.width, "height": result.height},
        "metrics": {
            "count": len(result.objects),
            "class_distribution": {name: counts[name] for name in result.pipeline.spec.classes},
            "scores": [found["score"] for found in result.objects],
            "areas": [found["area"] for found in result.objects],
        },
        "quality": result.quality.facts(),
    }
