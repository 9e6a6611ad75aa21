"""Makes the report of a detector from its answers and the labels."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from secondopinion import Detections, Mask, Pipeline

from evaluation.answers import Failed, Outcome
from evaluation.coco_labels import AnnotatedPhoto
from evaluation.metrics.detection import Matches, match, mean_average_precision, rates
from evaluation.metrics.objects import Found, Rle, Truth
from evaluation.origin import answered, origin
from evaluation.report import DetectedPhoto, DetectionReport, DetectionScores
from evaluation.settings import EvaluationSettings


def same_size(
    photos: Sequence[AnnotatedPhoto], outcomes: Sequence[Outcome[Detections]]
) -> list[Outcome[Detections]]:
    """Fails answers whose image has not the size that was labelled: their boxes cannot match."""
    return [_same_size(photo, outcome) for photo, outcome in zip(photos, outcomes, strict=True)]


def report(
    settings: EvaluationSettings,
    pipeline: Pipeline,
    photos: Sequence[AnnotatedPhoto],
    outcomes: Sequence[Outcome[Detections]],
    *,
    masks: bool,
    threshold: float,
    asked_from: float,
) -> DetectionReport:
    """Measures the answers.

    Args:
        settings: What was asked.
        pipeline: What the service said of the pipeline.
        photos: In the order of the outcomes.
        outcomes: Photos without an answer are counted and left out.
        masks: Whether the pipeline answers masks.
        threshold: The score from which on hits are counted.
        asked_from: The score from which on the service was asked to answer.

    Raises:
        EvaluationError: No photo was answered, or two releases answered.
    """
    kept = answered(outcomes)
    labelled = {photo.file: photo.objects for photo in photos}
    truth = [labelled[each.file] for each in kept]
    detected = [found(each.answer) for each in kept]
    classes = pipeline.classes
    matches = match(truth, detected, classes, threshold)
    return DetectionReport(
        **origin(settings, pipeline, outcomes, threshold),
        task="segmentation" if masks else "detection",
        scores=DetectionScores(
            boxes=mean_average_precision(truth, detected, classes),
            masks=mean_average_precision(truth, detected, classes, "segm") if masks else None,
            asked_from=asked_from,
            **_counted(matches),
        ),
        answers=[
            DetectedPhoto(
                sha256=each.sha256,
                labels_sha256=_digest(labels),
                hits=met.hits,
                false_alarms=met.false_alarms,
                missed=met.missed,
            )
            for each, labels, met in zip(kept, truth, matches, strict=True)
        ],
    )


def found(answer: Detections) -> list[Found]:
    """The detections of an answer as the metrics take them."""
    return [
        Found(
            label=each.class_name,
            score=each.score,
            box=(each.box.x1, each.box.y1, each.box.x2, each.box.y2),
            mask=None if each.mask is None else _rle(each.mask),
        )
        for each in answer.predictions
    ]


def _same_size(photo: AnnotatedPhoto, outcome: Outcome[Detections]) -> Outcome[Detections]:
    if isinstance(outcome, Failed):
        return outcome
    seen = outcome.answer.image
    if seen == (photo.width, photo.height):
        return outcome
    return Failed(
        outcome.file,
        f"labelled as {photo.width} x {photo.height}, but upright (by its EXIF orientation) it is "
        f"{seen.width} x {seen.height}; label the upright photo",
    )


def _rle(mask: Mask) -> Rle:
    return {"size": list(mask.size), "counts": mask.counts}


def _counted(matches: Sequence[Matches]) -> dict[str, Any]:
    hits = sum(each.hits for each in matches)
    false_alarms = sum(each.false_alarms for each in matches)
    missed = sum(each.missed for each in matches)
    ious = [iou for each in matches for iou in each.mask_ious]
    return {
        "hits": hits,
        "false_alarms": false_alarms,
        "missed": missed,
        **asdict(rates(hits, false_alarms, missed)),
        "mask_iou": sum(ious) / len(ious) if ious else None,
    }


def _digest(objects: Sequence[Truth]) -> str:
    """The same for the same labels, whatever their order."""
    lines = sorted(json.dumps(asdict(each), sort_keys=True) for each in objects)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
