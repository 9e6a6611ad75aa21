"""Makes labelled drawings to calibrate and test classifiers with, not to train them."""

import numpy as np
from numpy.typing import NDArray

from demo.subject import subject_for
from export.labelled_photos import CALIBRATION_MOST, Evidence
from pipelines.spec import PipelineSpec

# Far from the seeds that training and its held-out drawings are made from.
_FIRST_SEED = 2**48


def labelled(
    spec: PipelineSpec, count: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Drawings at the pipeline's size, to calibrate or to judge with.

    No training of demo weights and no measuring of them ever draws the same, whatever its seed;
    two seeds here share no drawing either, so that a gate judges on images calibration never saw.

    Args:
        spec: a classification.
        count: how many; as many of each class, in mixed order.
        seed: 0 or more.

    Returns:
        Pixels UINT8 [count, H, W, 3] and labels INT64 [count], indices into the classes.

    Raises:
        UnsuitablePipelineError: there are no drawings for this pipeline.
    """
    height, width = spec.preprocessing.size or (0, 0)
    return subject_for(spec).dataset(count, _FIRST_SEED + seed, width, height)


def evidence(spec: PipelineSpec) -> Evidence:
    """Drawings to calibrate and to judge INT8 members of demo weights with."""
    calibration, _ = labelled(spec, CALIBRATION_MOST // 4, 0)
    return Evidence(calibration, *labelled(spec, spec.quantisation_gate.images_at_least, 1))
