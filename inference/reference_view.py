"""One view of reference photos: what D numbers of each photo are like, and how far others lie.

An image's distance is its Mahalanobis norm in the leading principal directions of the photos plus,
in units of its mean, the norm of what lies outside of them. Its score is how far that is beyond the
photos' median, in units of their spread and raised to a power that makes a tenth of the photos lie
above 1 and a hundredth above 2: about one in 1 + 10^score lies further out, so that views with
light and with heavy tails can be compared.

Sources: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples, 2018
(Mahalanobis distances of features); Wang et al., ViM: Out-Of-Distribution with Virtual-logit
Matching, 2022 (the residual outside of the leading directions).
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

_DIRECTIONS, _DIRECTIONS_SHARE = 64, 0.75
"""Leading principal directions at most, and as a share of the numbers. Few of them measure a
picture's 34 statistics badly: those that hang together most tell other images best."""
_PHOTOS_A_DIRECTION = 6
"""Photos that each direction's deviation is taken from at least."""
_SPREAD_SHARE = 0.3
"""Of the photos that fit: those that give the scores' spread and tail, and no direction."""
_TENTH, _HUNDREDTH = 0.9, 0.99
"""Of those photos, a tenth lies above 1 and a hundredth above 2 in units of the spread."""
_STEEPEST, _FLATTEST = 2.0, 0.1
"""Bounds of the tail's exponent, which few photos give."""
_DEVIATION_FLOOR = 0.1
"""Least deviation of a feature, in units of the median one. A feature that does not vary among
the reference photos, such as the saturation of grey ones, still tells other images."""
_RESIDUAL_FLOOR = 1e-3
"""Least mean residual, in units of the norm of an image with each feature one deviation off."""
_NOTHING = 1e-12
_ALIKE = "the reference photos are all the same: give different ones"


class UnfitReferenceError(ValueError):
    """Reference photos that cannot be fitted, or a reference's file that cannot be read."""


@dataclass(frozen=True)
class View:
    """What reference photos look like in one view of D numbers, of which k directions lead."""

    mean: Float64
    """[D]."""
    deviation: Float64
    """[D], above 0."""
    directions: Float64
    """[D, k], orthonormal columns; coordinates along them have a deviation of `lengths`."""
    lengths: Float64
    """[k], above 0."""
    residual: Float64
    """[], mean norm of what lies outside of the directions, above 0."""
    middle: Float64
    """[], the median distance of reference photos that gave no direction."""
    spread: Float64
    """[], from their median distance to their 90th percentile, above 0."""
    tail: Float64
    """[], the exponent of distances beyond the median, in units of the spread."""

    @classmethod
    def fit(cls, numbers: NDArray[np.floating[Any]], where_all_alike: str = _ALIKE) -> Self:
        """Fits N photos' numbers [N, D].

        Args:
            numbers: of the photos.
            where_all_alike: what the error says, where they are the same for all photos.

        Raises:
            UnfitReferenceError: they are not finite, or the same for all photos.
        """
        values = np.asarray(numbers, dtype=np.float64)
        if not np.isfinite(values).all():
            raise not_finite()
        own = values[: len(values) - round(_SPREAD_SHARE * len(values))]
        held_out = values[len(own) :]
        mean, deviation = own.mean(axis=0), own.std(axis=0)
        varying = deviation[deviation > _NOTHING]
        if not varying.size:
            raise UnfitReferenceError(where_all_alike)
        deviation = np.maximum(deviation, _DEVIATION_FLOOR * np.median(varying))
        scaled = (own - mean) / deviation
        _, singular, rows = np.linalg.svd(scaled, full_matrices=False)
        rank = int((singular > singular[0] * 1e-6).sum())
        width = scaled.shape[1]
        most = round(_DIRECTIONS_SHARE * width)
        count = max(1, min(_DIRECTIONS, len(own) // _PHOTOS_A_DIRECTION, rank, most))
        directions = np.ascontiguousarray(rows[:count].T)
        outside = _outside(scaled, scaled @ directions)
        unscored = cls(
            mean=mean,
            deviation=deviation,
            directions=directions,
            lengths=singular[:count] / math.sqrt(len(own)),
            residual=np.array(max(outside.mean(), _RESIDUAL_FLOOR * math.sqrt(width))),
            middle=np.zeros(()),
            spread=np.ones(()),
            tail=np.ones(()),
        )
        distances = unscored.score(held_out)
        middle, tenth, hundredth = np.quantile(distances, [0.5, _TENTH, _HUNDREDTH])
        spread = max(tenth - middle, 1e-3 * middle, _NOTHING)
        steepness = math.log(2) / math.log(max((hundredth - middle) / spread, 1 + _NOTHING))
        tail = min(max(steepness, _FLATTEST), _STEEPEST)
        found = {"middle": middle, "spread": np.array(spread), "tail": np.array(tail)}
        return cls(**(vars(unscored) | found))

    def score(self, numbers: NDArray[np.floating[Any]]) -> Float64:
        """Scores of N images, [N, D] to [N]; larger is less typical, and 0 is the photos' median.

        Numbers that are not finite score infinity.
        """
        values = np.asarray(numbers, dtype=np.float64)
        finite = np.isfinite(values).all(axis=1)
        scaled = (np.where(finite[:, None], values, self.mean) - self.mean) / self.deviation
        along = scaled @ self.directions
        norm = np.sqrt(((along / self.lengths) ** 2).sum(axis=1))
        distance = norm + _outside(scaled, along) / self.residual
        beyond = (distance - self.middle) / self.spread
        score = np.sign(beyond) * np.abs(beyond) ** self.tail
        return np.asarray(np.where(finite, score, np.inf))


def _outside(scaled: Float64, along: Float64) -> Float64:
    """Norm of what lies outside of orthonormal directions, [N], by Pythagoras."""
    squares = (scaled**2).sum(axis=1) - (along**2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def not_finite() -> UnfitReferenceError:
    """The refusal of numbers that no fit may have."""
    return UnfitReferenceError("a reference photo has numbers that are not finite: remove it")
