"""Draws photos of a pipeline's kind, in the sizes and compressions that cameras give them."""

import io

import numpy as np

from demo import lesions, scenes
from demo.subject import subject_for
from pipelines.enums import Task
from pipelines.spec import PipelineSpec

# Width and height.
_SIZES = ((640, 480), (480, 640), (448, 336), (400, 400), (336, 448))
_QUALITIES = (82, 88, 94)


def photo(spec: PipelineSpec, seed: int) -> bytes:
    """A JPEG of a drawing of any of the pipeline's classes; the same seed, the same bytes.

    Raises:
        UnsuitablePipelineError: a classification for which there are no drawings.
    """
    random = np.random.default_rng(seed)
    width, height = _SIZES[random.integers(len(_SIZES))]
    number = int(random.integers(2**62))
    if spec.task is Task.SEGMENTATION:
        drawing = lesions.draw(number, width, height).image
    elif spec.task is Task.DETECTION:
        drawing = scenes.draw(number, width, height).image
    else:
        subject = subject_for(spec)
        label = int(random.integers(subject.classes))
        drawing = subject.draw(label, number, width, height)
    encoded = io.BytesIO()
    drawing.save(encoded, "JPEG", quality=int(random.choice(_QUALITIES)))
    return encoded.getvalue()
