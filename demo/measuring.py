"""Measures the accuracy of classifiers, and of plain colour statistics, on drawings."""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray

from export.graph import ServedMember
from pipelines.spec import PipelineSpec, Threshold

Floats = NDArray[np.float64]
_BATCH = 25


def probabilities(member: ServedMember, pixels: NDArray[np.uint8]) -> Floats:
    """Each class's probability, FP64 [N, K], of pixels UINT8 [N, H, W, 3]; K is 2 of one logit."""
    with torch.inference_mode():
        images = torch.from_numpy(pixels)
        starts = range(0, len(images), _BATCH)
        logits = torch.cat([member(images[start : start + _BATCH]) for start in starts]).double()
    if logits.shape[1] > 1:
        return logits.softmax(dim=1).numpy()
    return torch.cat([(-logits).sigmoid(), logits.sigmoid()], dim=1).numpy()


def decided(answers: Floats, threshold: Threshold | None) -> NDArray[np.int64]:
    """Class of each row of probabilities [N, K]: where there is a threshold, 1 from it on."""
    if threshold is None:
        return np.asarray(answers.argmax(axis=1), np.int64)
    return (answers[:, 1] >= threshold.default).astype(np.int64)


def accuracy(decisions: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Share of labels met."""
    return float((decisions == labels).mean())


def weighted_mean(spec: PipelineSpec, answers: dict[str, Floats]) -> Floats:
    """The ensemble's probabilities, FP64 [N, K], of those of its trained members.

    A member that has its checkpoint from another one stands for that one.
    """
    origins = [spec.origin(name) for name in spec.answering_members]
    weights = [spec.members[name].weight for name in spec.answering_members]
    return np.asarray(np.average([answers[name] for name in origins], axis=0, weights=weights))


def measure(
    spec: PipelineSpec,
    answers: dict[str, Floats],
    labels: NDArray[np.int64],
    hard: NDArray[np.bool_],
) -> dict[str, float]:
    """Shares of images, in [0, 1], by what was measured.

    Accuracies of the members, of all of them together (of the hard cases, of the others), and how
    often the members do not all decide alike.

    Args:
        spec: a classification.
        answers: probabilities FP64 [N, K] of each trained member.
        labels: INT64 [N].
        hard: BOOL [N]: which images are hard on purpose.
    """
    decisions = {name: decided(of, spec.threshold) for name, of in answers.items()}
    shares = {f"`{name}`": accuracy(of, labels) for name, of in decisions.items()}
    together = decided(weighted_mean(spec, answers), spec.threshold)
    title = "ensemble" if len(spec.answering_members) > 1 else "release"
    shares[title] = accuracy(together, labels)
    for cases, chosen in (("hard cases alone", hard), ("all others", ~hard)):
        if chosen.any():
            shares[f"{title}, {cases}"] = accuracy(together[chosen], labels[chosen])
    if len(decisions) > 1:
        opposed = np.stack(list(decisions.values()))
        shares["members opposed"] = float((opposed != opposed[0]).any(axis=0).mean())
    return shares


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
    one_hot = np.eye(labels.max() + 1)[labels]
    scores = []
    for features in (_linear, _quadratic):
        weights = np.linalg.lstsq(features(seen), one_hot, rcond=None)[0]
        decisions = (features(held_out) @ weights).argmax(axis=1)
        scores.append(accuracy(decisions, held_out_labels))
    return max(scores)


def _statistics(pixels: NDArray[np.uint8]) -> Floats:
    """FP64 [N, 6]: mean and standard deviation of each channel."""
    return np.array([[*image.mean((0, 1)), *image.std((0, 1))] for image in pixels])


def _linear(statistics: Floats) -> Floats:
    return np.column_stack([np.ones(len(statistics)), statistics])


def _quadratic(statistics: Floats) -> Floats:
    columns = itertools.combinations_with_replacement(statistics.T, 2)
    return np.column_stack([_linear(statistics), *(a * b for a, b in columns)])
