"""How a candidate's result about an image differs from the one that was given."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.results.classification import ClassificationResult
from gateway.results.detection import DetectionResult
from gateway.results.shapes import DetectedObject
from gateway.results.task_handlers import Result

_OVERLAP = 0.5
"""Intersection over union from which on two boxes are of one object, as in mAP@0.5."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The candidate's numbers less those that were given."""

    differs: Mapping[str, bool]
    """Of a classification `decision` and uncertainty `level`; of a detector `count` and `boxes`:
    whether there are as many detections, and whether each has its like (class and place)."""
    values: list[float] = field(default_factory=list)
    """Of the positive class's probability; without one, of the probability of the class that was
    answered; of a detector, of the score of each detection that has its like. In [-1, 1]."""
    uncertainty: float | None = None
    """Of the entropy, in [-1, 1]; None: a detector has none."""


def difference(given: Result, candidate: Result) -> Difference:
    """How two results about the same image differ.

    Raises:
        TypeError: the releases have different tasks.
    """
    if isinstance(given, ClassificationResult) and isinstance(candidate, ClassificationResult):
        return _of_classifications(given, candidate)
    if isinstance(given, DetectionResult) and isinstance(candidate, DetectionResult):
        return _of_detections(given, candidate)
    raise TypeError("results of different tasks")


def _of_classifications(given: ClassificationResult, candidate: ClassificationResult) -> Difference:
    positive = given.pipeline.spec.positive
    label = given.predicted_class if positive is None else positive
    return Difference(
        {
            # By name: the releases may have their classes in different orders.
            "decision": given.predicted_class != candidate.predicted_class,
            "level": given.level != candidate.level,
        },
        [_probability(candidate, label) - _probability(given, label)],
        candidate.entropy - given.entropy,
    )


def _probability(result: ClassificationResult, label: str) -> float:
    """Of a class; 0 where the release does not know it."""
    by_class = zip(result.pipeline.spec.classes, result.probabilities, strict=True)
    return next((probability for name, probability in by_class if name == label), 0.0)


def _of_detections(given: DetectionResult, candidate: DetectionResult) -> Difference:
    left = list(candidate.objects)
    values = []
    for found in given.objects:
        alike = [each for each in left if each["class"] == found["class"]]
        like = max(alike, key=lambda each: _overlap(each, found), default=None)
        if like is not None and _overlap(like, found) >= _OVERLAP:
            left.remove(like)
            values.append(like["score"] - found["score"])
    counts = len(given.objects), len(candidate.objects)
    return Difference(
        {"count": counts[0] != counts[1], "boxes": counts != (len(values), len(values))}, values
    )


def _overlap(one: DetectedObject, other: DetectedObject) -> float:
    """Intersection over union of two boxes, from 0 to 1."""
    a, b = one["box"], other["box"]
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (areas - width * height)
