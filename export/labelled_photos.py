"""Reads the calibration images and labelled images of a quantisation."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export import photos
from export.errors import ExportError
from pipelines.enums import Method, Task
from pipelines.manifest import sha256_of
from pipelines.spec import PipelineSpec

CALIBRATION_FEWEST, CALIBRATION_MOST = 16, 256
VALIDATION_MOST = 5000
_LISTED = 5


class EvidenceError(ExportError):
    """Folders that cannot show what quantisation costs."""


@dataclass(frozen=True)
class Evidence:
    """Images for a quantised member, all at the pipeline's size."""

    calibration: NDArray[np.uint8]
    """UINT8 [C, H, W, 3]; C may be 0 where each batch gives its own ranges."""
    pixels: NDArray[np.uint8]
    """UINT8 [N, H, W, 3]; none of them is among `calibration`."""
    labels: NDArray[np.int64]
    """INT64 [N], indices into the classes."""
    left_out: dict[Path, str] = field(default_factory=dict)
    """Files that could not be read, and why."""


def require_evidence(spec: PipelineSpec, derived: list[str], evidence: Evidence | None) -> None:
    """Checks that quantised members can be made and judged.

    Raises:
        EvidenceError: images are missing; the message says which.
    """
    if spec.task is not Task.CLASSIFICATION:
        raise EvidenceError(
            f"{derived[0]}: only a classification's members are quantised: remove it from the YAML"
        )
    static = needs_calibration(spec, derived)
    if evidence is None or (static and not len(evidence.calibration)):
        calibration = "--calibration DIR (any photos) and " if static else ""
        count = spec.quantisation_gate.images_at_least
        raise EvidenceError(
            f"{', '.join(derived)}: quantised members are published only after a test: give "
            f"{calibration}--validation DIR (a folder of photos for each class, {count} or more in "
            "all, none of them in the other folder), or remove the member from the YAML"
        )


def needs_calibration(spec: PipelineSpec, members: list[str]) -> bool:
    """Whether one of these takes its activations' ranges from calibration images."""
    methods = [spec.members[name].quantisation for name in members]
    return any(each is not None and each.method is Method.STATIC for each in methods)


def read_evidence(spec: PipelineSpec, calibration: Path | None, validation: Path) -> Evidence:
    """Reads the two folders.

    Of more than `CALIBRATION_MOST` and `VALIDATION_MOST` files so many are read, evenly spaced.

    Args:
        spec: a classification.
        calibration: photos, with or without folders in it; None where no method asks for them.
        validation: one folder of photos for each class, by its name.

    Raises:
        EvidenceError: a class has no folder or a folder no class, there are too few photos, or
            one lies in both folders.
    """
    labelled = by_class(spec, validation)
    chosen = photos.spread(list(labelled), VALIDATION_MOST)
    calibrating = photos.files_below(calibration) if calibration else []
    _require_disjoint(calibrating, labelled)
    left_out: dict[Path, str] = {}
    pixels, read = pixels_of(spec, chosen, left_out)
    ranges, _ = pixels_of(spec, photos.spread(calibrating, CALIBRATION_MOST), left_out)
    needed = spec.quantisation_gate.images_at_least
    if len(read) < needed:
        raise EvidenceError(
            f"{validation}: {len(read)} of {len(labelled)} files can be read as photos, "
            f"quantisation_gate.images_at_least asks for {needed}: add labelled photos"
        )
    if calibration and len(ranges) < CALIBRATION_FEWEST:
        raise EvidenceError(
            f"{calibration}: {len(ranges)} photos in it can be read; calibration needs "
            f"{CALIBRATION_FEWEST} or more"
        )
    labels = np.array([labelled[path] for path in read], np.int64)
    return Evidence(ranges, pixels, labels, left_out)


def by_class(spec: PipelineSpec, folder: Path) -> dict[Path, int]:
    """Each file in the classes' folders, and its label.

    Raises:
        EvidenceError: a class has no folder, or a folder no class.
    """
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    missing, unknown = set(spec.classes) - found, found - set(spec.classes)
    if missing or unknown:
        parts = [("no folder for", missing), ("no class is named", unknown)]
        problem = "; ".join(f"{title} {_some(names)}" for title, names in parts if names)
        raise EvidenceError(
            f"{folder}: {problem}: give one folder of photos for each class, by its name"
        )
    return {
        path: label
        for label, name in enumerate(spec.classes)
        for path in photos.files_below(folder / name)
    }


def _require_disjoint(calibration: Iterable[Path], validation: Iterable[Path]) -> None:
    """By content: a copy under another name is the same photo."""
    seen = {sha256_of(path): path for path in calibration}
    for path in validation if seen else ():
        if twin := seen.get(sha256_of(path)):
            raise EvidenceError(
                f"{path} is {twin}: a calibration image must not be a validation image. "
                "Remove it from one of the two folders"
            )


def pixels_of(
    spec: PipelineSpec, paths: list[Path], left_out: dict[Path, str]
) -> tuple[NDArray[np.uint8], list[Path]]:
    """Those that can be read, UINT8 [N, H, W, 3], and which they are."""
    pairs = list(photos.readable(paths, photos.decode_rules(spec), left_out))
    height, width = spec.preprocessing.size or (0, 0)
    pixels = np.empty((len(pairs), height, width, 3), np.uint8)
    for index, (_, image) in enumerate(pairs):
        pixels[index] = image
    return pixels, [path for path, _ in pairs]


def _some(names: set[str]) -> str:
    shown = ", ".join(repr(name) for name in sorted(names)[:_LISTED])
    return shown + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
