"""Writes drawings as large JPEG files, for the gate of `fast` decoding."""

from collections.abc import Callable
from pathlib import Path

from demo.subject import subject_for
from pipelines.spec import PipelineSpec

_QUALITY = 90
# Shared with no training, calibration or gate of INT8 (labelled.py).
_FIRST_SEED = 2**49
_ASPECTS = ((4, 3), (3, 4), (1, 1), (3, 2))
# One in so many is twice as large as the others: those take long to draw.
_LARGE = 25


def draw_photos(
    spec: PipelineSpec,
    folder: Path,
    count: int,
    on_photo: Callable[[], None] = lambda: None,
) -> None:
    """Writes JPEG files, of all classes.

    Args:
        spec: a classification, under a profile that decodes by `fast`.
        folder: which is there.
        count: how many; sizes and aspects vary.
        on_photo: told of each one.

    Raises:
        UnsuitablePipelineError: there are no drawings for this pipeline.
    """
    subject, short = subject_for(spec), short_side(spec)
    for index, (label, seed) in enumerate(subject.cases(count, _FIRST_SEED)):
        side = 2 * short if index % _LARGE == 0 else short + 16 * (index % 4)
        wide, high = _ASPECTS[index % len(_ASPECTS)]
        unit = side / min(wide, high)
        width, height = (-(-round(unit * part) // 16) * 16 for part in (wide, high))
        subject.draw(label, seed, width, height).save(folder / f"{index:04}.jpg", quality=_QUALITY)
        on_photo()


def short_side(spec: PipelineSpec) -> int:
    """The short side of the smallest photo that `fast` decodes at a half; a multiple of 16."""
    needed = 2 * (spec.preprocessing.reserve or 1) * max(spec.preprocessing.size or (0,))
    return -(-needed // 16) * 16
