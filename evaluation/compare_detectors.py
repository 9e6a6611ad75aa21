"""Compares two reports of detectors."""

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray

from evaluation.comparison import Comparison, Row, pair
from evaluation.metrics.detection import rates
from evaluation.metrics.significance import difference
from evaluation.report import DetectedPhoto, DetectionReport

_RATES = ("precision", "recall", "F1")


def compare(first: DetectionReport, second: DetectionReport, *, common: bool) -> Comparison:
    """Compares them on the photos they share; see `compare.compare`.

    The reports hold each photo's hits, and the average precision only of all their photos: where
    some are left out it cannot be compared.
    """
    paired = pair(first.answers, second.answers, common=common)
    one, other = _counts(paired.first), _counts(paired.second)
    return Comparison(
        first=first.title,
        second=second.title,
        demo=bool(first.weights or second.weights),
        photos=len(paired.first),
        left_out=paired.left_out,
        rows=[
            *([] if paired.left_out.any else _average_precisions(first, second)),
            *(_row(place, one, other) for place in range(len(_RATES))),
        ],
    )


def _average_precisions(first: DetectionReport, second: DetectionReport) -> list[Row]:
    ours, theirs = first.scores, second.scores
    rows = [
        Row.plain("mAP@0.5 of boxes", ours.boxes.at_50, theirs.boxes.at_50),
        Row.plain("mAP@[.5:.95] of boxes", ours.boxes.at_50_95, theirs.boxes.at_50_95),
    ]
    if ours.masks is not None and theirs.masks is not None:
        rows += [
            Row.plain("mAP@0.5 of masks", ours.masks.at_50, theirs.masks.at_50),
            Row.plain("mAP@[.5:.95] of masks", ours.masks.at_50_95, theirs.masks.at_50_95),
            Row.plain("mask IoU", ours.mask_iou, theirs.mask_iou),
        ]
    return rows


def _counts(answers: Sequence[DetectedPhoto]) -> NDArray[np.int64]:
    """INT64 [N, 3]: hits, false alarms and missed objects of each photo."""
    return np.array([[each.hits, each.false_alarms, each.missed] for each in answers])


def _row(place: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> Row:
    def rate(counts: NDArray[np.int64], photos: NDArray[np.int64]) -> float | None:
        hits, false_alarms, missed = counts[photos].sum(axis=0).tolist()
        value: float | None = astuple(rates(hits, false_alarms, missed))[place]
        return value

    every = np.arange(len(one))
    return Row(
        metric=_RATES[place],
        first=rate(one, every),
        second=rate(other, every),
        difference=difference(lambda drawn: (rate(one, drawn), rate(other, drawn)), len(one)),
    )
