"""Splits a batch's outputs into rows, one for each image. Runs in Triton: it makes failures.

With a row too few, the images behind the gap would get each other's answers.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import RefusedError
from pipelines.protocol import Refusal
from server.backends.failure import Failure, refused

Tensor = NDArray[Any]


def missing_rows(model: str, images: int, outputs: Iterable[Tensor]) -> Failure | None:
    """The failure of a pass whose outputs have not one row for each image; None: they have."""
    if all(output.shape[:1] == (images,) for output in outputs):
        return None
    text = f"{model} did not give one row for each image: export it again."
    return refused(RefusedError(Refusal.MODEL_OUTPUT, text))


def split_rows(
    model: str, sizes: Sequence[int], outputs: Sequence[Tensor]
) -> list[list[Tensor]] | Failure:
    """The outputs of each request that shared a pass, by its number of images."""
    if failure := missing_rows(model, sum(sizes), outputs):
        return failure
    ends = np.cumsum(sizes)[:-1]
    return [list(split) for split in zip(*(np.split(each, ends) for each in outputs), strict=True)]
