"""Typicality: whether an image is of the kind that a model learnt from, with a stated error rate.

Two views of an image are compared with those of reference photos: the statistics of the picture
(`inference.picture_statistics`) and the features of a member of the pipeline. A view's score
(`inference.reference_view`) says that about one in 1 + 10^score photos lies further out; an
image's score is the sum over its views of -log10 of that share. So an image counts as strange that
is very strange to one view, or somewhat strange to both. Its typicality is the conformal p-value of
that score: of images of the reference photos' kind at most a share of a has a typicality of a or
less.

Sources: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, proposition 2.4
(conformal p-values); Fisher, Statistical Methods for Research Workers, 4th edition, 1932, section
21.1 (sums of logarithms; the calibration makes up for views that depend on each other).
"""

import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from inference.errors import RefusedError
from inference.reference_view import UnfitReferenceError, View, not_finite
from pipelines import atomic_write
from pipelines.derived import REFERENCE_PHOTOS_AT_LEAST, REFERENCE_PHOTOS_KEY, short_digest
from pipelines.protocol import Refusal

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
NOT_JUDGED = -1
_FORMAT = 2
"""Of a reference's file; another one was made of other statistics, or for another score."""
_FEATURES_ALIKE = (
    "the features are the same for all photos, so they tell nothing: export the member from a "
    "checkpoint that is sound, or leave `member` out of the YAML's typicality"
)


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
    photos: NDArray[np.uint64]
    """`short_digest` of each reference photo, ascending: none may be used to judge a pipeline."""
    about: Mapping[str, Any]
    """Where it comes from, as JSON: nothing here reads it."""

    @classmethod
    def fit(
        cls,
        picture: NDArray[np.floating[Any]],
        features: NDArray[np.floating[Any]] | None,
        about: Mapping[str, Any],
        photos: Iterable[str] = (),
    ) -> Self:
        """Fits one half of N photos and calibrates on the other one, which the fit never sees.

        Every second photo of the order given calibrates.

        Args:
            picture: the statistics of each photo, [N, 34].
            features: a member's features of each photo, [N, D]; None where it has none.
            about: of the photos and the member, as JSON.
            photos: SHA-256 of each photo's file, in hexadecimal.

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
        understood = None if features is None else View.fit(features[fitted], _FEATURES_ALIKE)
        alone = _evidence(seen.score(picture[calibrating]))
        both = alone
        if understood is not None and features is not None:
            both = alone + _evidence(understood.score(features[calibrating]))
        if not np.isfinite(both).all():
            raise not_finite()
        return cls(seen, understood, np.sort(alone), np.sort(both), _short(photos), dict(about))

    def score(
        self,
        picture: NDArray[np.floating[Any]],
        features: NDArray[np.floating[Any]] | None = None,
    ) -> Float64:
        """Scores of N images, [N]: the sum of their views' -log10 of the share further out.

        Args:
            picture: their statistics, [N, 34].
            features: the member's, [N, D]; None where it did not run.
        """
        seen = _evidence(self.picture.score(picture))
        if features is None or self.features is None:
            return seen
        return seen + _evidence(self.features.score(features))

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

    def content(self) -> bytes:
        """The content of its file (.npz); equal references give equal bytes."""
        arrays: dict[str, Any] = {
            "format": np.array(_FORMAT),
            "about": np.array(json.dumps(self.about, sort_keys=True)),
            "scores": self.scores,
            "picture_scores": self.picture_scores,
            REFERENCE_PHOTOS_KEY: self.photos,
        }
        for name, view in (("picture", self.picture), ("features", self.features)):
            if view is not None:
                arrays |= {f"{name}.{key}": value for key, value in vars(view).items()}
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()

    def save(self, path: Path) -> None:
        """Writes it to a file, whole or not at all."""
        atomic_write.write_bytes(path, self.content())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a file of `content`; no code in it is run.

        Raises:
            UnfitReferenceError: it cannot be read, or is none.
        """
        try:
            return cls.from_bytes(path.read_bytes())
        except (OSError, UnfitReferenceError) as error:
            raise UnfitReferenceError(
                f"{path}: no reference that can be read: make it again "
                "(python -m export PIPELINE --reference DIR)"
            ) from error

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads `content`; no code in it is run.

        Raises:
            UnfitReferenceError: it is none.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                content = {name: arrays[name] for name in arrays.files}
            features = _view(content, "features") if "features.mean" in content else None
            read = cls(
                _view(content, "picture"),
                features,
                content["picture_scores"],
                content["scores"],
                content[REFERENCE_PHOTOS_KEY],
                json.loads(str(content["about"])),
            )
        except Exception as error:  # damaged archives raise anything
            raise UnfitReferenceError("no reference for typicality") from error
        if content.get("format") != _FORMAT:
            raise UnfitReferenceError("a reference that another version of this code made")
        return read


@dataclass(frozen=True)
class Judgement:
    """What is said of N images, as `protocol.Output` has it."""

    typicality: Float32
    """[N], in (0, 1]; NaN where not judged."""
    typical: Int32
    """[N]: 1, or 0 for an atypical image; -1 where not judged."""
    views: Int32
    """[N]: 0, 1 by the picture's statistics alone, 2 by the features too."""

    @classmethod
    def none(cls, images: int) -> Self:
        """Of images that nothing judges."""
        return cls(
            np.full(images, np.nan, np.float32),
            np.full(images, NOT_JUDGED, np.int32),
            np.zeros(images, np.int32),
        )


@dataclass(frozen=True)
class Judge:
    """A reference, and the share of false alarms that decides."""

    reference: Reference
    false_alarms: float

    def __call__(
        self, picture: NDArray[np.floating[Any]], features: NDArray[np.floating[Any]] | None
    ) -> Judgement:
        """Judges N images; arguments as of `Reference.score`. By the numbers as answered, in FP32.

        Raises:
            RefusedError: features that do not fit the reference, or are not finite.
        """
        known = self.reference.features
        if features is not None and known is not None:
            if features.shape != (len(picture), len(known.mean)):
                raise RefusedError(
                    Refusal.MODEL_OUTPUT,
                    "the member's features are not those of the reference: export it again.",
                )
            if not np.isfinite(features).all():
                raise RefusedError(
                    Refusal.MODEL_OUTPUT,
                    "the member gave features that are not finite, so there is no answer. "
                    "Try another image and report this one.",
                )
        typicality = self.reference.typicality(picture, features)
        typical = typicality > np.float32(self.false_alarms)
        views = 1 + (features is not None and known is not None)
        return Judgement(
            typicality, typical.astype(np.int32), np.full(len(picture), views, np.int32)
        )


def _evidence(scores: Float64) -> Float64:
    """-log10 of the share of photos further out, log10(1 + 10^score), at least 0."""
    return np.asarray(np.logaddexp(0.0, math.log(10) * scores) / math.log(10))


def _short(photos: Iterable[str]) -> NDArray[np.uint64]:
    return np.sort(np.array([short_digest(each) for each in photos], dtype=np.uint64))


def p_values(scores: Float64, calibration: Float64) -> Float64:
    """Conformal p-values [N]: (1 + number of n calibration scores at or above it) / (n + 1).

    Args:
        scores: of the images, [N].
        calibration: ascending, [n].
    """
    above = len(calibration) - np.searchsorted(calibration, scores, side="left")
    return np.asarray((1 + above) / (len(calibration) + 1))


def _view(content: Mapping[str, Any], name: str) -> View:
    keys = ("mean", "deviation", "directions", "lengths", "residual", "middle", "spread", "tail")
    # As it is computed with: converted once, not for each image.
    return View(**{key: content[f"{name}.{key}"].astype(np.float64) for key in keys})
