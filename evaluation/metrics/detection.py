"""Metrics of a detector, from labelled and detected objects.

The average precision is COCO's, by pycocotools: 101 recall levels, at most 100 detections of a
class an image, crowds ignored, and the mean over the classes that have objects.
"""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from evaluation.metrics.coco_matching import IouType, judge
from evaluation.metrics.objects import Found, Rle, Truth

_COCO_DETECTIONS = 100


@dataclass(frozen=True)
class ClassPrecision:
    """One class: its objects, its average precision, and precision over recall.

    Attributes:
        at_50: At an IoU of 0.5; None where the class has no objects.
        at_50_95: Mean over the IoUs 0.5, 0.55, ... 0.95.
        curve: Precision at IoU 0.5 for the recalls 0, 0.01, ... 1; empty where undefined.
    """

    objects: int
    at_50: float | None
    at_50_95: float | None
    curve: list[float]


@dataclass(frozen=True)
class AveragePrecision:
    """mAP in [0, 1]: the mean over the classes with objects; None where none has any."""

    at_50: float | None
    at_50_95: float | None
    classes: dict[str, ClassPrecision]


@dataclass(frozen=True)
class Matches:
    """Hits and errors in one image, by matching boxes of a class at an IoU of 0.5 or more.

    Attributes:
        hits: Detections that meet an object.
        false_alarms: Detections that meet none.
        missed: Objects that none meets.
        mask_ious: IoU of the masks of each hit; empty without masks. Pairs are found by their
            boxes, so a bad mask lowers the figure instead of leaving it.
    """

    hits: int
    false_alarms: int
    missed: int
    mask_ious: list[float]


@dataclass(frozen=True)
class Rates:
    """Shares in [0, 1]; None where a share is not defined."""

    precision: float | None
    recall: float | None
    f1: float | None


def mean_average_precision(
    truth: Sequence[Sequence[Truth]],
    found: Sequence[Sequence[Found]],
    classes: Sequence[str],
    iou_type: IouType = "bbox",
) -> AveragePrecision:
    """Measures detections of all scores, image by image in the same order.

    Args:
        truth: The objects of each image.
        found: The detections of each image. Those of low scores matter too: what was cut off at
            a threshold is missing from the recall.
        classes: All class names.
        iou_type: `bbox` compares boxes, `segm` masks; then every object needs one.

    Raises:
        ValueError: The images do not fit each other, or a label is none of the classes.
    """
    judged = judge(truth, found, classes, iou_type, _COCO_DETECTIONS)
    with contextlib.redirect_stdout(io.StringIO()):
        judged.accumulate()
    precision = judged.eval["precision"][:, :, :, 0, 0]  # [IoU, recall, class]
    by_class = {}
    for index, name in enumerate(classes):
        of_class = precision[:, :, index]
        objects = sum(each.label == name and not each.crowd for image in truth for each in image)
        by_class[name] = ClassPrecision(
            objects=objects,
            at_50=float(of_class[0].mean()) if objects else None,
            at_50_95=float(of_class.mean()) if objects else None,
            curve=of_class[0].tolist() if objects else [],
        )
    return AveragePrecision(
        at_50=_mean([each.at_50 for each in by_class.values()]),
        at_50_95=_mean([each.at_50_95 for each in by_class.values()]),
        classes=by_class,
    )


def match(
    truth: Sequence[Sequence[Truth]],
    found: Sequence[Sequence[Found]],
    classes: Sequence[str],
    threshold: float,
) -> list[Matches]:
    """Pairs detections from the threshold on with objects, the best scores first, as COCO does.

    Returns:
        One for each image. The other arguments and errors: see `mean_average_precision`.
    """
    kept = [[each for each in image if each.score >= threshold] for image in found]
    most = max([1, *(len(image) for image in kept)])
    judged = judge(truth, kept, classes, "bbox", most)
    hits, alarms, missed = ([0] * len(truth) for _ in range(3))
    ious: list[list[float]] = [[] for _ in truth]
    for each in filter(None, judged.evalImgs):
        image = each["image_id"] - 1
        counted = ~np.asarray(each["dtIgnore"][0], bool)
        met = np.asarray(each["dtMatches"][0], int)
        hits[image] += int((counted & (met > 0)).sum())
        alarms[image] += int((counted & (met == 0)).sum())
        missed[image] += int(
            ((np.asarray(each["gtMatches"][0]) == 0) & ~np.asarray(each["gtIgnore"], bool)).sum()
        )
        for detection, meets in zip(np.array(each["dtIds"])[counted], met[counted], strict=True):
            if meets:
                masks = judged.cocoDt.anns[detection]["mask"], judged.cocoGt.anns[meets]["mask"]
                ious[image] += _mask_iou(*masks)
    return [Matches(*each) for each in zip(hits, alarms, missed, ious, strict=True)]


def rates(hits: int, false_alarms: int, missed: int) -> Rates:
    """Precision, recall and their harmonic mean, of counts; without objects only precision."""
    detections, objects = hits + false_alarms, hits + missed
    return Rates(
        precision=hits / detections if detections else None,
        recall=hits / objects if objects else None,
        f1=2 * hits / (detections + objects) if objects else None,
    )


def _mask_iou(found: Rle | None, truth: Rle | None) -> list[float]:
    if found is None or truth is None:
        return []
    return [float(coco_mask.iou([found], [truth], [0])[0, 0])]


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
