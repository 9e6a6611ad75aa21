"""Average precision over many resamples of the same images, from one matching of detections.

COCO's figure (see `detection`), computed anew from matches that do not change with a resample: a
thousand resamples take seconds instead of hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.coco_matching import IouType, judge
from evaluation.metrics.objects import Found, Truth

_RECALLS = np.linspace(0, 1, 101)
_MOST = 100
"""Detections of a class an image that count, as COCO has it."""


@dataclass(frozen=True)
class _Class:
    """The detections of a class, the best scores first, and its objects."""

    images: NDArray[np.int64]
    hits: NDArray[np.bool_]
    objects: NDArray[np.int64]
    """INT64 [images]."""


class ResampledPrecision:
    """mAP at an IoU of 0.5 of any choice of images, with repetitions."""

    def __init__(
        self,
        truth: Sequence[Sequence[Truth]],
        found: Sequence[Sequence[Found]],
        classes: Sequence[str],
        iou_type: IouType = "bbox",
    ) -> None:
        """Matches once; arguments and errors as of `detection.mean_average_precision`."""
        judged = judge(truth, found, classes, iou_type, _MOST)
        self._images = len(truth)
        matched = [each for each in judged.evalImgs if each is not None]
        self._classes = [
            self._of_class([each for each in matched if each["category_id"] == number])
            for number in range(1, len(classes) + 1)
        ]

    def _of_class(self, matched: Sequence[dict[str, object]]) -> _Class:
        images: list[int] = []
        scores: list[float] = []
        hits: list[bool] = []
        objects = np.zeros(self._images, np.int64)
        for each in matched:
            image = int(str(each["image_id"])) - 1
            counted = ~np.asarray(each["dtIgnore"], bool)[0]
            here = np.asarray(each["dtScores"], np.float64)[counted]
            scores += here.tolist()
            hits += (np.asarray(each["dtMatches"])[0][counted] > 0).tolist()
            images += [image] * len(here)
            objects[image] += int((~np.asarray(each["gtIgnore"], bool)).sum())
        order = np.argsort(-np.array(scores, np.float64), kind="stable")
        return _Class(np.array(images, np.int64)[order], np.array(hits, bool)[order], objects)

    def at(self, drawn: NDArray[np.int64]) -> float | None:
        """mAP@0.5 of the images with these indices; None where no class has objects in them.

        Detections of equal scores are taken in the images' order, and not in that of the indices.
        """
        times = np.bincount(drawn, minlength=self._images)
        values = [self._precision(each, times) for each in self._classes]
        defined = [value for value in values if value is not None]
        return float(np.mean(defined)) if defined else None

    @staticmethod
    def _precision(of_class: _Class, times: NDArray[np.int64]) -> float | None:
        objects = int((times * of_class.objects).sum())
        if not objects:
            return None
        counts = times[of_class.images]
        met = np.cumsum(counts * of_class.hits)
        all_of_them = np.cumsum(counts)
        precision = met / np.maximum(all_of_them, 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        places = np.searchsorted(met / objects, _RECALLS, side="left")
        reached = places < len(envelope)
        return float(envelope[places[reached]].sum() / len(_RECALLS))
