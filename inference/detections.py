"""From a detector's candidates to detections in the photo, and to the tensors of an answer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference import outlines, rle
from inference.candidates import Candidates
from inference.masks import Stretched
from inference.resize import Geometry
from pipelines.protocol import Detected

Tensors = dict[Detected, NDArray[np.generic]]


@dataclass(frozen=True)
class Detections:
    """n detections in pixels of the upright image, the highest score first; n may be 0."""

    boxes: NDArray[np.float32]
    """[n, 4]: x1, y1, x2, y2, clipped to the image; none is empty."""
    scores: NDArray[np.float32]
    """[n]."""
    classes: NDArray[np.int32]
    """[n]."""
    masks: NDArray[np.float32] | None
    """[n, S, S], probabilities over `mask_boxes`."""
    mask_boxes: NDArray[np.float32]
    """[n, 4]: the boxes before they were clipped, which is what a mask stretches over."""


def find(candidates: Candidates, geometry: Geometry, threshold: float) -> Detections:
    """Keeps scores from the threshold on, and moves their boxes from the pixels to the image.

    The score is compared in FP32, as both are answered: `score >= threshold` holds in the answer.
    Equal scores keep the member's order.
    """
    kept = np.flatnonzero(candidates.scores >= np.float32(threshold))
    kept = kept[np.argsort(-candidates.scores[kept], kind="stable")]
    whole = to_image(candidates.boxes[kept], geometry)
    width, height = np.float32(geometry.width), np.float32(geometry.height)
    clipped = np.clip(whole, np.float32(0), np.array([width, height, width, height]))
    there = (clipped[:, 0] < clipped[:, 2]) & (clipped[:, 1] < clipped[:, 3])
    kept = kept[there]
    return Detections(
        boxes=clipped[there],
        scores=candidates.scores[kept],
        classes=candidates.classes[kept].astype(np.int32),
        masks=None if candidates.masks is None else candidates.masks[kept],
        mask_boxes=whole[there],
    )


def to_image(boxes: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float32]:
    """Boxes [n, 4] of the pixels in those of the upright image: x = (x' - left) / x_scale."""
    offset = np.array([geometry.left, geometry.top] * 2)
    scale = np.array([geometry.x_scale, geometry.y_scale] * 2)
    return np.asarray((boxes.astype(np.float64) - offset) / scale, dtype=np.float32)


def areas(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of boxes [n, 4], in square pixels, FP32 [n]."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(sides[:, 0] * sides[:, 1], dtype=np.float32)


def located(found: Detections, frame: tuple[int, int], *, polygons: bool) -> Tensors:
    """The outputs that have one row for each detection.

    One mask is laid out at a time, and only in its box: 100 of them in 25 megapixels need no more
    memory than one.

    Args:
        found: n detections; without masks there are none in the answer.
        frame: height and width of the image.
        polygons: whether to answer the outlines; else they are empty.
    """
    tensors: Tensors = {
        Detected.BOXES: found.boxes,
        Detected.SCORES: found.scores,
        Detected.CLASSES: found.classes,
        Detected.AREAS: areas(found.boxes),
    }
    if found.masks is None:
        return tensors
    pixels, runs, polylines = [], [], []
    for mask, box in zip(found.masks, found.mask_boxes, strict=True):
        stretched = Stretched.over(mask, box, frame)
        window = stretched.window()
        pixels.append(window.area)
        runs.append(rle.encode(window, frame).encode())
        polylines.append(outlines.as_json(stretched).encode() if polygons else b"")
    return tensors | {
        Detected.AREAS: np.array(pixels, dtype=np.float32),
        Detected.MASKS: np.array(runs, dtype=np.object_),
        Detected.POLYGONS: np.array(polylines, dtype=np.object_),
    }
