"""Typicality: whether an image is of the kind that a model learnt from, with a stated error rate.

Two views of an image are compared with those of reference photos: the statistics of the picture
(`inference.picture_statistics`) and the features of a member of the pipeline. A view's score is
the image's Mahalanobis norm in the leading principal directions of the reference photos plus, in
units of its mean, the norm of what lies outside of them. The image's score is the larger of its
views' in units of their spread. Its typicality is the conformal p-value of that score: of images
of the reference photos' kind at most a share of a has a typicality of a or less.

Sources: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples, 2018
(Mahalanobis distances of features); Wang et al., ViM: Out-Of-Distribution with Virtual-logit
Matching, 2022 (the residual outside of the leading directions); Vovk, Gammerman and Shafer,
Algorithmic Learning in a Random World, 2005, proposition 2.4 (conformal p-values).
"""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipelines import atomic_write
from pipelines.derived import REFERENCE_PHOTOS_AT_LEAST

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_DIRECTIONS = 64
"""Leading principal directions at most."""
_PHOTOS_A_DIRECTION = 6
"""Photos that each direction's deviation is taken from at least."""
_SPREAD_SHARE = 0.2
"""Of the photos that fit: those that give the scores' spread, and no direction."""
_DEVIATION_FLOOR = 0.1
"""Least deviation of a feature, in units of the median one. A feature that does not vary among
the reference photos, such as the saturation of grey ones, still tells other images."""
_RESIDUAL_FLOOR = 1e-3
"""Least mean residual, in units of the norm of an image with each feature one deviation off."""
_NOTHING = 1e-12


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
    """[], the median score of reference photos that gave no direction."""
    spread: Float64
    """[], from their median score to their 90th percentile, above 0."""

    @classmethod
    def fit(cls, numbers: NDArray[np.floating[Any]]) -> Self:
        """Fits N photos' numbers [N, D].

        Raises:
            UnfitReferenceError: they are not finite, or the same for all photos.
        """
        values = np.asarray(numbers, dtype=np.float64)
        if not np.isfinite(values).all():
            raise _not_finite()
        own = values[: len(values) - round(_SPREAD_SHARE * len(values))]
        held_out = values[len(own) :]
        mean, deviation = own.mean(axis=0), own.std(axis=0)
        varying = deviation[deviation > _NOTHING]
        if not varying.size:
            raise UnfitReferenceError("the reference photos are all the same: give different ones")
        deviation = np.maximum(deviation, _DEVIATION_FLOOR * np.median(varying))
        scaled = (own - mean) / deviation
        _, singular, rows = np.linalg.svd(scaled, full_matrices=False)
        rank = int((singular > singular[0] * 1e-6).sum())
        width = scaled.shape[1]
        count = max(1, min(_DIRECTIONS, len(own) // _PHOTOS_A_DIRECTION, rank, width // 2))
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
        )
        scores = unscored.score(held_out)
        middle, high = np.median(scores), np.quantile(scores, 0.9)
        spread = max(high - middle, 1e-3 * middle, _NOTHING)
        return cls(**(vars(unscored) | {"middle": middle, "spread": np.array(spread)}))

    def score(self, numbers: NDArray[np.floating[Any]]) -> Float64:
        """Scores of N images, [N, D] to [N], in units of the spread; larger is less typical.

        Numbers that are not finite score infinity.
        """
        values = np.asarray(numbers, dtype=np.float64)
        finite = np.isfinite(values).all(axis=1)
        scaled = (np.where(finite[:, None], values, self.mean) - self.mean) / self.deviation
        along = scaled @ self.directions
        norm = np.sqrt(((along / self.lengths) ** 2).sum(axis=1))
        raw = norm + _outside(scaled, along) / self.residual
        return np.asarray(np.where(finite, (raw - self.middle) / self.spread, np.inf))


def _outside(scaled: Float64, along: Float64) -> Float64:
    """Norm of what lies outside of orthonormal directions, [N], by Pythagoras."""
    squares = (scaled**2).sum(axis=1) - (along**2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


@dataclass(frozen=True)
class Reference:
    """What is known of the reference photos: both views, and calibration scores of either use."""

    picture: View
    features: View | None
    """None: no member has features, so the picture's statistics serve alone."""
    picture_scores: Float64
    """[n], ascending: of the calibration photos, by the picture's statistics alone."""
    scores: Float64
    """[n], ascending: by all views that there are."""
    about: Mapping[str, Any]
    """Where it comes from, as JSON: nothing here reads it."""

    @classmethod
    def fit(
        cls,
        picture: NDArray[np.floating[Any]],
        features: NDArray[np.floating[Any]] | None,
        about: Mapping[str, Any],
    ) -> Self:
        """Fits one half of N photos and calibrates on the other one, which the fit never sees.

        Every second photo of the order given calibrates.

        Args:
            picture: the statistics of each photo, [N, 34].
            features: a member's features of each photo, [N, D]; None where it has none.
            about: of the photos and the member, as JSON.

        Raises:
            UnfitReferenceError: too few photos, all alike, or numbers that are not finite.
        """
        if len(picture) < REFERENCE_PHOTOS_AT_LEAST:
            raise UnfitReferenceError(
                f"{len(picture)} reference photos are too few: one half fits, the other one "
                f"calibrates, so give {REFERENCE_PHOTOS_AT_LEAST} or more"
            )
        if features is not None and len(features) != len(picture):
            raise UnfitReferenceError("there are not as many rows of features as of statistics")
        fitted, calibrating = slice(0, None, 2), slice(1, None, 2)
        seen = View.fit(picture[fitted])
        understood = None if features is None else View.fit(features[fitted])
        alone = seen.score(picture[calibrating])
        both = alone
        if understood is not None and features is not None:
            both = np.maximum(alone, understood.score(features[calibrating]))
        if not np.isfinite(both).all():
            raise _not_finite()
        return cls(seen, understood, np.sort(alone), np.sort(both), dict(about))

    def score(
        self,
        picture: NDArray[np.floating[Any]],
        features: NDArray[np.floating[Any]] | None = None,
    ) -> Float64:
        """Scores of N images, [N]: the larger of their views'.

        Args:
            picture: their statistics, [N, 34].
            features: the member's, [N, D]; None where it did not run.
        """
        seen = self.picture.score(picture)
        if features is None or self.features is None:
            return seen
        return np.maximum(seen, self.features.score(features))

    def typicality(
        self,
        picture: NDArray[np.floating[Any]],
        features: NDArray[np.floating[Any]] | None = None,
    ) -> Float32:
        """Typicality of N images, FP32 [N], in (0, 1]: the conformal p-value of their scores.

        Arguments as of `score`; the calibration scores are those of the same views.
        """
        both = features is not None and self.features is not None
        calibration = self.scores if both else self.picture_scores
        return p_values(self.score(picture, features), calibration).astype(np.float32)

    def save(self, path: Path) -> None:
        """Writes it to a file (.npz), whole or not at all; equal content gives equal bytes."""
        arrays: dict[str, Any] = {
            "about": np.array(json.dumps(self.about, sort_keys=True)),
            "scores": self.scores,
            "picture_scores": self.picture_scores,
        }
        for name, view in (("picture", self.picture), ("features", self.features)):
            if view is not None:
                arrays |= {f"{name}.{key}": value for key, value in vars(view).items()}
        content = io.BytesIO()
        np.savez(content, **arrays)
        atomic_write.write_bytes(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a file that `save` wrote; no code in it is run.

        Raises:
            UnfitReferenceError: it cannot be read, or is none.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                content = {name: arrays[name] for name in arrays.files}
            about = json.loads(str(content["about"]))
            features = _view(content, "features") if "features.mean" in content else None
            return cls(
                _view(content, "picture"),
                features,
                content["picture_scores"],
                content["scores"],
                about,
            )
        except Exception as error:
            raise UnfitReferenceError(
                f"{path}: no reference that can be read: make it again "
                "(python -m export PIPELINE --reference DIR)"
            ) from error


def p_values(scores: Float64, calibration: Float64) -> Float64:
    """Conformal p-values [N]: (1 + number of n calibration scores at or above it) / (n + 1).

    Args:
        scores: of the images, [N].
        calibration: ascending, [n].
    """
    above = len(calibration) - np.searchsorted(calibration, scores, side="left")
    return np.asarray((1 + above) / (len(calibration) + 1))


def _not_finite() -> UnfitReferenceError:
    return UnfitReferenceError("a reference photo has numbers that are not finite: remove it")


def _view(content: Mapping[str, Any], name: str) -> View:
    keys = ("mean", "deviation", "directions", "lengths", "residual", "middle", "spread")
    return View(**{key: content[f"{name}.{key}"] for key in keys})
