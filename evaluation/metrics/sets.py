"""Prediction sets: how often they hold the true class, and how many classes they have."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.intervals import Share, share


@dataclass(frozen=True)
class SetScores:
    """Numbers over the prediction sets of all answered photos.

    Attributes:
        stated: The share of sets that the service says holds the true class, at least.
        coverage: The share that did.
        coverage_of_class: Of the photos of each class; None where it has no photos.
        mean_size: Classes in a set, on average; 0 to K.
        empty: The share of sets without a class.
    """

    stated: float
    coverage: Share
    coverage_of_class: dict[str, Share | None]
    mean_size: float
    empty: Share


def measure_sets(
    truth: NDArray[np.int64], sets: NDArray[np.bool_], classes: Sequence[str], stated: float
) -> SetScores:
    """Measures sets against labels.

    Args:
        truth: INT64 [N], index of the true class; N is at least 1.
        sets: BOOL [N, K], which classes are in the sets.
        classes: K names, in the order of the indices.
        stated: what the service says, 0 to 1.

    Raises:
        ValueError: There are no photos, or the shapes do not fit each other.
    """
    if not len(truth) or sets.shape != (len(truth), len(classes)):
        raise ValueError(f"truth {truth.shape} and sets {sets.shape} do not fit each other")
    held = sets[np.arange(len(truth)), truth]
    sizes = sets.sum(axis=1)
    coverage, empty = share(int(held.sum()), len(held)), share(int((sizes == 0).sum()), len(held))
    assert coverage is not None and empty is not None  # noqa: S101, PT018 - there are photos
    return SetScores(
        stated=stated,
        coverage=coverage,
        coverage_of_class={
            name: share(int(held[truth == index].sum()), int((truth == index).sum()))
            for index, name in enumerate(classes)
        },
        mean_size=float(sizes.mean()),
        empty=empty,
    )
