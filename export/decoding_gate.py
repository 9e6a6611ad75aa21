"""The gate of `fast` decoding: a pipeline's answers are compared with those by `exact`."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export import gate, photos
from export.formats import Run
from export.gate import GateError
from export.photos import Pixels
from inference.decision import probabilities, weighted_mean
from pipelines.enums import Decoding, Task
from pipelines.fast_decoding import PHOTOS_AT_LEAST, FastDecoding, facts_hash
from pipelines.spec import PipelineSpec

_BATCH = 8
# A probability's difference and a share must not miss their bounds by a rounding error.
_DIGITS = 9


@dataclass(frozen=True)
class Artefact:
    """A member as it is served."""

    run: Run
    sha256: str


@dataclass(frozen=True)
class _Figures:
    agreed: int = 0
    photos: int = 0
    difference: float = 0.0
    member_difference: float = 0.0


def measure(
    spec: PipelineSpec,
    artefacts: dict[str, Artefact],
    files: Sequence[Path],
    on_photo: Callable[[], None] = lambda: None,
) -> FastDecoding:
    """Compares answers to photos that are decoded by `fast` and by `exact`.

    Args:
        spec: a classification under a profile that decodes by `fast`.
        artefacts: of all its members.
        files: photos; those that cannot be read are passed over.
        on_photo: told of each file that was looked at.

    Raises:
        GateError: another kind of profile, too few photos, or an artefact answers a number that is
            not finite.
    """
    _require_fast(spec)
    _require_enough(len(files), "photos were given", spec)
    pairs = Pairs(spec, files, on_photo)
    figures = _Figures()
    while batch := list(itertools.islice(pairs, _BATCH)):
        figures = _with(figures, batch, spec, artefacts)
    _require_enough(
        figures.photos,
        f"photos are decoded otherwise ({pairs.unchanged} have the same pixels either way: no "
        "JPEG, or too small to shrink)",
        spec,
    )
    return FastDecoding(
        photos=figures.photos,
        unchanged=pairs.unchanged,
        agreement=round(figures.agreed / figures.photos, _DIGITS),
        difference=round(figures.difference, _DIGITS),
        member_difference=round(figures.member_difference, _DIGITS),
        artefacts={name: artefact.sha256 for name, artefact in artefacts.items()},
        facts=facts_hash(spec),
    )


class Pairs(Iterator[tuple[Pixels, Pixels]]):
    """Pixels of photos by `exact` and by `fast`; photos with equal pixels are only counted."""

    def __init__(
        self, spec: PipelineSpec, files: Iterable[Path], on_photo: Callable[[], None]
    ) -> None:
        self.unchanged = 0
        self._fast = photos.decode_rules(spec)
        self._exact = replace(self._fast, reserve=None)
        self._files = iter(files)
        self._on_photo = on_photo

    def __next__(self) -> tuple[Pixels, Pixels]:
        for path in self._files:
            self._on_photo()
            try:
                pair = photos.read(path, self._exact), photos.read(path, self._fast)
            except photos.UnreadablePhotoError:
                continue
            if not np.array_equal(*pair):
                return pair
            self.unchanged += 1
        raise StopIteration


def _with(
    figures: _Figures,
    pairs: list[tuple[Pixels, Pixels]],
    spec: PipelineSpec,
    artefacts: dict[str, Artefact],
) -> _Figures:
    """The figures after some photos more."""
    exact, fast = (
        _probabilities(spec, artefacts, np.stack(side)) for side in zip(*pairs, strict=True)
    )
    mean, mean_fast = (
        weighted_mean(each, spec.weights).astype(np.float32) for each in (exact, fast)
    )
    alike = gate.predicted(mean, spec) == gate.predicted(mean_fast, spec)
    return replace(
        figures,
        agreed=figures.agreed + int(alike.sum()),
        photos=figures.photos + len(pairs),
        difference=max(figures.difference, float(np.abs(mean - mean_fast).max())),
        member_difference=max(figures.member_difference, float(np.abs(exact - fast).max())),
    )


def _probabilities(
    spec: PipelineSpec, artefacts: dict[str, Artefact], pixels: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Probabilities FP64 [N, M, K] of the members in their order."""
    logits = [artefacts[name].run(pixels) for name in spec.members]
    if not all(np.isfinite(each).all() for each in logits):
        raise GateError("an artefact answers a number that is not finite")
    classes = len(spec.classes)
    each = [probabilities(z, classes, name) for z, name in zip(logits, spec.members, strict=True)]
    return np.stack(each, axis=1)


def _require_fast(spec: PipelineSpec) -> None:
    if spec.task is not Task.CLASSIFICATION or spec.preprocessing.decoding is not Decoding.FAST:
        raise GateError(
            f"{spec.name}: profile {spec.profile} does not decode by `fast`: there is nothing to "
            "test. Name another with --profile, or say preprocessing: fast in its YAML"
        )


def _require_enough(count: int, what: str, spec: PipelineSpec) -> None:
    if count < PHOTOS_AT_LEAST:
        raise GateError(
            f"{spec.name}: {count} {what}, {PHOTOS_AT_LEAST} or more are needed: add JPEG photos "
            "like those that are served"
        )
