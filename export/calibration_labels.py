"""Reads the labelled photos of a calibration, and halves them."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export import photos
from export.labelled_photos import EvidenceError, by_class, pixels_of
from pipelines.enums import Task
from pipelines.manifest import sha256_of
from pipelines.spec import PipelineSpec

FEWEST = 200
"""Photos in all."""
FEWEST_OF_CLASS = 40
"""One half of them gives the class's bound of the prediction sets, for which 19 are the least."""
_MOST = 5000
_MOST_UNREADABLE = 0.01


@dataclass(frozen=True)
class LabelledHalf:
    """Photos at the pipeline's size and their labels."""

    pixels: NDArray[np.uint8]
    """UINT8 [N, H, W, 3]."""
    labels: NDArray[np.int64]
    """INT64 [N], indices into the classes."""


@dataclass(frozen=True)
class CalibrationPhotos:
    """Labelled photos that training did not see; no photo is in both halves."""

    fitting: LabelledHalf
    """For the temperature."""
    measuring: LabelledHalf
    """For errors and prediction sets."""
    sha256: str
    """Over those of all photos, with their labels."""
    left_out: dict[Path, str] = field(default_factory=dict)
    """Files that could not be read, and why."""


def read_calibration_photos(
    spec: PipelineSpec, folder: Path, seen: Iterable[Path] = ()
) -> CalibrationPhotos:
    """Reads a folder with one folder of photos for each class.

    Of more than 5,000 files so many are read, evenly spaced. Copies count once.

    Args:
        spec: a classification.
        folder: of photos that training did not see.
        seen: other folders of the export, that may not hold the same photos.

    Raises:
        EvidenceError: too few photos, of a class or in all; too many that cannot be read; one lies
            in two classes, or in another folder of the export; or the pipeline is a detector.
    """
    if spec.task is not Task.CLASSIFICATION:
        raise EvidenceError(
            f"{spec.name}: only a classification is calibrated: leave --calibration-labels out"
        )
    labelled = by_class(spec, folder)
    digests = {path: sha256_of(path) for path in photos.spread(list(labelled), _MOST)}
    _require_unseen(digests, seen)
    kept = _without_copies(digests, labelled, spec)
    left_out: dict[Path, str] = {}
    # By content and not by name: names may tell the time or the patient.
    pixels, read = pixels_of(spec, sorted(kept, key=digests.__getitem__), left_out)
    _require_readable(folder, left_out, len(kept))
    labels = np.array([labelled[path] for path in read], np.int64)
    _require_enough(folder, labels, spec)
    total = hashlib.sha256()
    for path, label in zip(read, labels.tolist(), strict=True):
        total.update(f"{digests[path]} {label}\n".encode())
    return replace(halved(pixels, labels, total.hexdigest()), left_out=left_out)


def halved(pixels: NDArray[np.uint8], labels: NDArray[np.int64], sha256: str) -> CalibrationPhotos:
    """Photos [N, H, W, 3] and their labels [N]: of each class, every other one is for measuring."""
    first = np.zeros(len(labels), np.bool_)
    for index in np.unique(labels):
        first[np.flatnonzero(labels == index)[::2]] = True
    return CalibrationPhotos(
        LabelledHalf(pixels[first], labels[first]),
        LabelledHalf(pixels[~first], labels[~first]),
        sha256,
    )


def _require_unseen(digests: dict[Path, str], seen: Iterable[Path]) -> None:
    own = {digest: path for path, digest in digests.items()}
    for folder in seen:
        for path in photos.files_below(folder):
            if twin := own.get(sha256_of(path)):
                raise EvidenceError(
                    f"{twin} is {path}: a photo that calibrates must be in no other folder of the "
                    "export. Remove it from one of the two"
                )


def _without_copies(
    digests: dict[Path, str], labelled: dict[Path, int], spec: PipelineSpec
) -> list[Path]:
    """The files, each content once."""
    first: dict[str, Path] = {}
    for path, digest in digests.items():
        twin = first.setdefault(digest, path)
        if labelled[twin] != labelled[path]:
            names = spec.classes[labelled[twin]], spec.classes[labelled[path]]
            raise EvidenceError(
                f"{path} is {twin}: one photo cannot be {names[0]!r} and {names[1]!r}. "
                "Remove the wrong one"
            )
    return list(first.values())


def _require_readable(folder: Path, left_out: dict[Path, str], count: int) -> None:
    if len(left_out) > _MOST_UNREADABLE * count:
        raise EvidenceError(
            f"{folder}: {photos.described(left_out)}: more than {_MOST_UNREADABLE:.0%} of {count} "
            "files: remove or replace them"
        )


def _require_enough(folder: Path, labels: NDArray[np.int64], spec: PipelineSpec) -> None:
    counts = Counter(labels.tolist())
    if few := [
        f"{counts[index]} of {name!r}"
        for index, name in enumerate(spec.classes)
        if counts[index] < FEWEST_OF_CLASS
    ]:
        raise EvidenceError(
            f"{folder}: there are only {', '.join(few)}: add labelled photos; a calibration needs "
            f"{FEWEST_OF_CLASS} or more of each class"
        )
    if len(labels) < FEWEST:
        raise EvidenceError(
            f"{folder}: {len(labels)} photos: add labelled photos; a calibration needs {FEWEST} or "
            "more in all"
        )
