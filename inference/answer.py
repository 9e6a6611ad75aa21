"""Detections as the tensors of an answer (`protocol.Detected`), for one image."""

import numpy as np
from numpy.typing import NDArray

from inference import outlines, rle
from inference.detections import Detections, areas
from inference.masks import Stretched
from pipelines.protocol import Detected

Tensors = dict[Detected, NDArray[np.generic]]


def located(found: Detections, frame: tuple[int, int], *, polygons: bool) -> Tensors:
    """Where and what: all outputs that tell of single detections.

    One mask is laid out at a time, and only in its box: 100 of them in 25 megapixels need no more
    memory than one.

    Args:
        found: n detections; without masks there are none in the answer.
        frame: height and width of the image.
        polygons: whether to tell the outlines, too; else they are empty.
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
