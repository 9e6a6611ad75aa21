"""How well models, and plain colour statistics, tell drawings apart."""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray

from export.graph import ServedMember

Floats = NDArray[np.float64]
_BATCH = 25


def probabilities(member: ServedMember, pixels: NDArray[np.uint8]) -> Floats:
    """The second class's probability, FP64 [N], of pixels UINT8 [N, H, W, 3]."""
    with torch.inference_mode():
        images = torch.from_numpy(pixels)
        starts = range(0, len(images), _BATCH)
        logits = torch.cat([member(images[start : start + _BATCH]) for start in starts])
    return logits.double().softmax(dim=1)[:, 1].numpy()


def accuracy(positive: Floats, labels: NDArray[np.int64], threshold: float) -> float:
    """Share of labels met where a probability from the threshold on says 1."""
    return float(((positive >= threshold) == (labels == 1)).mean())


def weighted_mean(members: list[Floats], weights: tuple[float, ...]) -> Floats:
    """The ensemble's probability, FP64 [N], of its members' and their normalised weights."""
    return np.asarray(np.average(members, axis=0, weights=weights))


def colour_baseline(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    held_out_pixels: NDArray[np.uint8],
    held_out_labels: NDArray[np.int64],
) -> float:
    """Held-out accuracy of six RGB statistics alone: mean and standard deviation per channel.

    The better of two least-squares classifiers, one of the statistics and one of their squares
    and products as well: the choice is made on the held-out drawings, in the baseline's favour.
    """
    seen, held_out = _statistics(pixels), _statistics(held_out_pixels)
    mean, std = seen.mean(axis=0), seen.std(axis=0)
    seen, held_out = (seen - mean) / std, (held_out - mean) / std
    scores = []
    for features in (_linear, _quadratic):
        weights = np.linalg.lstsq(features(seen), labels * 2.0 - 1, rcond=None)[0]
        scores.append(accuracy(features(held_out) @ weights, held_out_labels, 0))
    return max(scores)


def _statistics(pixels: NDArray[np.uint8]) -> Floats:
    """FP64 [N, 6]: mean and standard deviation of each channel."""
    return np.array([[*image.mean((0, 1)), *image.std((0, 1))] for image in pixels])


def _linear(statistics: Floats) -> Floats:
    return np.column_stack([np.ones(len(statistics)), statistics])


def _quadratic(statistics: Floats) -> Floats:
    columns = itertools.combinations_with_replacement(statistics.T, 2)
    return np.column_stack([_linear(statistics), *(a * b for a, b in columns)])
