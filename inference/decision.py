"""The decision: from the logits of several members to one class, confidence and uncertainty.

Everything is computed in float64 and answered in FP32. Where a number is compared with a bound
(threshold, bands), both are first rounded to FP32, so that the answered numbers reproduce the
decision: `probabilities[positive] >= threshold` holds in the answer exactly if it was decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.errors import RefusedError
from inference.prediction_set import prediction_set, without_call
from inference.rules import Band, DecisionRules
from pipelines.protocol import Refusal

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]
HIGH = 2
NO_PREDICTION = -1


@dataclass(frozen=True)
class Decisions:
    """Decisions on N images: K classes, M members."""

    probabilities: Float32
    """[N, K], the weighted mean."""
    member_probabilities: Float32
    """[N, M, K], in the members' order; NaN where a member did not answer."""
    member_prediction: Int32
    """[N, M], by the same rule and threshold as `prediction`; -1 where a member did not answer."""
    prediction: Int32
    """[N], index into the classes."""
    confidence: Float32
    """[N], the probability of the predicted class."""
    disagreement: Float32
    """[N], in [0, 1]."""
    entropy: Float32
    """[N], in [0, 1]."""
    threshold: Float32
    """[N], the one that decided; NaN where none did."""
    uncertainty_level: Int32
    """[N], 0 low, 1 medium, 2 high; high where the set forbids a call, or of an atypical image."""
    prediction_set: Int32
    """[N, K], 1 for the classes in the set, else 0; all -1 where there is no rule."""


def decide(
    logits: Mapping[int, NDArray[np.floating[Any]]],
    rules: DecisionRules,
    threshold: float | None,
    set_from: tuple[float, ...] | None = None,
    atypical: NDArray[np.bool_] | None = None,
) -> Decisions:
    """Decides on N images.

    Args:
        logits: of each member that answers, by its index: [N, K] or, of a binary pipeline, [N, 1].
            One that answers alone has all the weight.
        rules: the pipeline's.
        threshold: the request's, None for the pipeline's.
        set_from: for each class the probability from which on it is in the prediction set; None
            where those who answer have no such rule.
        atypical: [N], images of another kind: their uncertainty is high; None: of no image.

    Raises:
        RefusedError: a member's logits are not finite or not of a shape that fits.
    """
    classes, answering = len(rules.classes), list(logits)
    members = np.stack(
        [
            probabilities(numbers, classes, rules.members[index])
            for index, numbers in logits.items()
        ],
        axis=1,
    )
    alone = len(answering) == 1
    mean = weighted_mean(members, [1.0] if alone else [rules.weights[index] for index in answering])
    threshold = rules.threshold if threshold is None else threshold
    prediction = predict(mean, rules.positive, threshold)
    predictions = predict(members, rules.positive, threshold)
    disagreement = largest_distance(members)
    level = uncertainty_level(
        disagreement,
        margin(mean, rules.positive, threshold),
        opposed=predictions.min(axis=1) != predictions.max(axis=1),
        bands=(rules.low, rules.medium),
    )
    sets = prediction_set(mean, set_from)
    unsure = without_call(sets, prediction)
    if atypical is not None:
        unsure |= atypical
    images = len(mean)
    member_probabilities = np.full((images, len(rules.members), classes), np.nan, np.float32)
    member_probabilities[:, answering] = members
    member_prediction = np.full((images, len(rules.members)), NO_PREDICTION, np.int32)
    member_prediction[:, answering] = predictions
    answered = mean.astype(np.float32)
    return Decisions(
        probabilities=answered,
        member_probabilities=member_probabilities,
        member_prediction=member_prediction,
        prediction=prediction,
        confidence=np.take_along_axis(answered, prediction[:, None], axis=1)[:, 0],
        disagreement=disagreement.astype(np.float32),
        entropy=normalised_entropy(mean).astype(np.float32),
        threshold=np.full(len(mean), np.nan if threshold is None else threshold, np.float32),
        uncertainty_level=np.where(unsure, HIGH, level).astype(np.int32),
        prediction_set=sets,
    )


def probabilities(numbers: NDArray[np.floating[Any]], classes: int, member: str) -> Float64:
    """One member's logits [N, K] or [N, 1] as probabilities [N, K] in class order.

    K logits: softmax, exp(z_i) / sum_j exp(z_j), with the largest logit subtracted first so that
    nothing overflows. One logit z: the logistic function p = 1 / (1 + exp(-z)) as [1 - p, p],
    which is the softmax of [0, z].
    Source: Bishop, Pattern Recognition and Machine Learning, 2006, equations 4.59 and 4.62.

    Raises:
        RefusedError: the logits are not finite, or their number fits no rule.
    """
    logits = np.asarray(numbers, dtype=np.float64)
    if not np.isfinite(logits).all():
        raise RefusedError(
            Refusal.MODEL_OUTPUT,
            f"{member} gave a number that is not finite, so there is no answer. "
            "Try another image and report this one.",
        )
    if logits.shape[1] == 1 and classes == 2:  # noqa: PLR2004 - binary
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    if logits.shape[1] != classes:
        raise RefusedError(
            Refusal.MODEL_OUTPUT,
            f"{member} gave {logits.shape[1]} numbers for {classes} classes: export it again.",
        )
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def weighted_mean(members: Float64, weights: Sequence[float]) -> Float64:
    """The mean of M members' probabilities, [N, M, K] to [N, K]; weights are normalised to 1."""
    shares = np.asarray(weights) / np.sum(weights)
    return np.asarray(np.einsum("m,nmk->nk", shares, members))


def predict(p: NDArray[np.floating[Any]], positive: int | None, threshold: float | None) -> Int32:
    """Index of the predicted class from probabilities [..., K].

    Binary: the positive class if its probability reaches the threshold. Else the largest; of
    equal ones the first. By the probabilities as they are answered, in FP32.
    """
    answered = p.astype(np.float32)
    if positive is None or threshold is None:
        return np.asarray(np.argmax(answered, axis=-1), dtype=np.int32)
    reached = answered[..., positive] >= np.float32(threshold)
    return np.asarray(np.where(reached, positive, 1 - positive), dtype=np.int32)


def largest_distance(members: Float64) -> Float64:
    """The largest total-variation distance between any two of M members, [N, M, K] to [N].

    TV(p, q) = 1/2 sum_k |p_k - q_k|, in [0, 1]; one member has none to differ from: 0.
    Source: Levin, Peres and Wilmer, Markov Chains and Mixing Times, 2009, proposition 4.2.
    """
    differences = members[:, :, None, :] - members[:, None, :, :]
    return np.asarray(np.abs(differences).sum(axis=-1).max(axis=(1, 2)) / 2)


def normalised_entropy(p: Float64) -> Float64:
    """Shannon's entropy -sum_k p_k log p_k of [N, K], divided by its maximum log K; 0 log 0 = 0.

    Source: Shannon, A Mathematical Theory of Communication, 1948, section 6.
    """
    # The log of 1 stands in where p is 0: its product with 0 is the limit that is meant.
    terms = p * np.log(np.where(p > 0, p, 1.0))
    entropy = -terms.sum(axis=1) / np.log(p.shape[1])
    return np.asarray(np.clip(entropy, 0.0, 1.0))


def margin(p: Float64, positive: int | None, threshold: float | None) -> Float64:
    """How far [N, K] is from another decision: |p[positive] - threshold|, or top-1 minus top-2."""
    if positive is None or threshold is None:
        ordered = np.sort(p, axis=1)
        return np.asarray(ordered[:, -1] - ordered[:, -2])
    return np.asarray(np.abs(p[:, positive] - threshold))


def uncertainty_level(
    disagreement: Float64, margins: Float64, *, opposed: NDArray[np.bool_], bands: tuple[Band, Band]
) -> Int32:
    """The first level (0 low, 1 medium) whose band holds, else 2; `opposed` [N] is never low."""
    low, medium = (
        (disagreement.astype(np.float32) <= np.float32(band.disagreement_at_most))
        & (margins.astype(np.float32) >= np.float32(band.margin_at_least))
        for band in bands
    )
    return np.asarray(np.select([low & ~opposed, medium], [0, 1], HIGH), dtype=np.int32)
