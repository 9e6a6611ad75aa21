"""Which drawings are made for a classification pipeline, and with which labels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo import drawings, histology, snakes
from export.errors import ExportError
from pipelines.enums import Task
from pipelines.spec import PipelineSpec

Draw = Callable[[int, int, int, int], Image.Image]
"""An RGB drawing from label, seed, width and height."""


class UnsuitablePipelineError(ExportError):
    """A pipeline that the drawings do not fit."""


@dataclass(frozen=True)
class Subject:
    """Drawings of one kind of thing, with labels."""

    classes: int
    """Labels run from 0 up to this."""
    draw: Draw
    is_hard: Callable[[int, int], bool]
    """Whether `draw` makes a hard case of a label and a seed."""
    drawings: int
    """How many demo weights are trained on."""

    def cases(self, count: int, seed: int) -> list[tuple[int, int]]:
        """Labels and seeds for `draw`: as many of each class, in random order."""
        random = np.random.default_rng(seed)
        labels = random.permutation(np.arange(count) % self.classes)
        seeds = random.integers(2**62, size=count)
        return [(int(label), int(number)) for label, number in zip(labels, seeds, strict=True)]

    def dataset(
        self,
        count: int,
        seed: int,
        width: int,
        height: int,
        on_image: Callable[[], None] = lambda: None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Drawings UINT8 [count, height, width, 3] and labels INT64 [count]."""
        pixels = np.empty((count, height, width, 3), np.uint8)
        labels = np.empty(count, np.int64)
        for index, (label, number) in enumerate(self.cases(count, seed)):
            pixels[index] = np.asarray(self.draw(label, number, width, height))
            labels[index] = label
            on_image()
        return pixels, labels


_MUCOSA = Subject(classes=2, draw=drawings.draw, is_hard=drawings.is_hard, drawings=1000)
_OF_PIPELINE = {
    "mhist": Subject(classes=2, draw=histology.draw, is_hard=histology.is_hard, drawings=1200),
    "snake_species": Subject(
        classes=snakes.SPECIES, draw=snakes.draw, is_hard=snakes.is_hard, drawings=1200
    ),
}


def subject_for(spec: PipelineSpec) -> Subject:
    """What is drawn for a pipeline: its own subject or, for any two classes, a lesion.

    Raises:
        UnsuitablePipelineError: it has no drawings of its own, and no positive class.
    """
    subject = _OF_PIPELINE.get(spec.name, _MUCOSA)
    binary = spec.positive is not None
    fits = binary if subject.classes == 2 else len(spec.classes) == subject.classes  # noqa: PLR2004
    if spec.task is not Task.CLASSIFICATION or not fits:
        raise UnsuitablePipelineError(
            f"{spec.name}: drawings are made for two classes of which one is `positive`, and for "
            f"{', '.join(sorted(_OF_PIPELINE))} as shipped; give checkpoints of your own"
        )
    return subject
