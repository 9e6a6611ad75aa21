"""A detector's raw output for one image, checked for shapes, finite numbers and known classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from inference.errors import RefusedError
from pipelines.protocol import DetectorOutput, Refusal


@dataclass(frozen=True)
class Candidates:
    """q boxes in pixels of the detector's input, of any score."""

    boxes: NDArray[np.float32]
    """[q, 4]: x1, y1, x2, y2."""
    scores: NDArray[np.float32]
    """[q]."""
    classes: NDArray[np.int64]
    """[q], each an index into the classes."""
    masks: NDArray[np.float32] | None
    """[q, S, S], probabilities over the box; None where the task has none."""

    @classmethod
    def of(cls, outputs: Mapping[str, NDArray[Any]], *, member: str, classes: int) -> Self:
        """Takes the outputs for one image, each with a first dimension of 1.

        Raises:
            RefusedError: shapes that do not fit each other, numbers that are not finite, or an
                unknown class.
        """
        boxes, scores, labels = (
            outputs[name]
            for name in (DetectorOutput.BOXES, DetectorOutput.SCORES, DetectorOutput.CLASSES)
        )
        masks = outputs.get(DetectorOutput.MASKS)
        count = scores.shape[-1]
        shapes = [boxes.shape == (1, count, 4), scores.shape == labels.shape == (1, count)]
        if masks is not None:
            shapes.append(masks.ndim == 4 and masks.shape[:2] == (1, count))  # noqa: PLR2004
        if not all(shapes):
            raise RefusedError(
                Refusal.MODEL_OUTPUT,
                f"{member} gave boxes, scores, classes and masks that do not fit each other: "
                "export it again.",
            )
        numbers = (boxes, scores) if masks is None else (boxes, scores, masks)
        if not all(np.isfinite(tensor).all() for tensor in numbers):
            raise RefusedError(
                Refusal.MODEL_OUTPUT,
                f"{member} gave a number that is not finite, so there is no answer. "
                "Try another image and report this one.",
            )
        if count and not 0 <= labels.min() <= labels.max() < classes:
            raise RefusedError(
                Refusal.MODEL_OUTPUT,
                f"{member} gave a class that is none of the {classes}: export it again.",
            )
        return cls(boxes[0], scores[0], labels[0], None if masks is None else masks[0])
