"""Reads a folder of reference photos: what their pictures look like, and what members make of them.

Photos are decoded by the code that serves.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export import formats, photos
from export.photos import Pixels
from export.progress import OnProgress, Steps
from export.reference_forms import Form, ReferencePhotosError
from inference.decode import decode
from inference.errors import RefusedError
from pipelines import protocol
from pipelines.derived import REFERENCE_PHOTOS_AT_LEAST
from pipelines.enums import Task
from pipelines.manifest import sha256_of
from pipelines.protocol import DetectorOutput
from pipelines.spec import PipelineSpec

UNREADABLE_AT_MOST = 0.01
"""Share of the files in a reference folder that may be no photos that the pipeline takes."""
_BATCH = 8

Float32 = NDArray[np.float32]
FeaturesOf = Callable[[Sequence[Pixels]], Float32]
"""Pixels of N images to their features, FP32 [N, D]."""


@dataclass(frozen=True)
class ReferencePhotos:
    """The files of a reference folder, each content once."""

    folder: Path
    files: dict[str, Path]
    """By the SHA-256 of the content, and in its order: no class or day lies in one half alone."""
    copies: int
    """Files left out because another one has the same content."""


@dataclass(frozen=True)
class Measured:
    """What was seen of reference photos, N of them."""

    statistics: Float32
    """[N, 34], of the pictures."""
    features: dict[str, Float32]
    """[N, D], by the form's name."""
    digests: tuple[str, ...]
    """SHA-256 of each photo that was read."""
    left_out: dict[Path, str] = field(default_factory=dict)
    """Files that could not be read, and why."""


def find(folder: Path, others: Iterable[Path] = ()) -> ReferencePhotos:
    """The photos of a folder and its folders, each content once.

    Args:
        folder: of photos like those that the pipeline's models were trained on.
        others: files that a pipeline is judged with, none of which may be among them.

    Raises:
        ReferencePhotosError: too few photos, or one of the others among them.
    """
    found: dict[str, Path] = {}
    paths = photos.files_below(folder)
    for path in paths:
        found.setdefault(sha256_of(path), path)
    _require_enough(len(found), folder)
    if shared := [path for path in others if sha256_of(path) in found]:
        raise ReferencePhotosError(
            f"{folder}: {len(shared)} of its photos are among those that the pipeline is judged "
            f"with, which would hide false alarms, for instance {shared[0]}: remove them from one "
            "of the two folders"
        )
    return ReferencePhotos(folder, dict(sorted(found.items())), len(paths) - len(found))


def measure(
    given: ReferencePhotos, spec: PipelineSpec, forms: Sequence[Form], on_progress: OnProgress
) -> Measured:
    """Decodes the photos and runs each form on them.

    Raises:
        ReferencePhotosError: more than `UNREADABLE_AT_MOST` of the files cannot be read, or too
            few can; or a form gives features that are not finite.
    """
    runs = {form.name: open_features(form, spec) for form in forms}
    statistics: list[Float32] = []
    features: dict[str, list[Float32]] = {name: [] for name in runs}
    digests: list[str] = []
    left_out: dict[Path, str] = {}
    steps = Steps(len(given.files), on_progress)
    steps.begin(f"{spec.name}: reading reference photos")
    waiting: dict[Path, Pixels] = {}
    rules = photos.decode_rules(spec)

    def run() -> None:
        for name, of in runs.items():
            found = of([*waiting.values()])
            _require_finite(found, name, [*waiting])
            features[name].append(found)
        waiting.clear()

    for digest, path in given.files.items():
        steps.advance()
        try:
            decoded = decode(path.read_bytes(), rules)
        except (OSError, RefusedError) as error:
            left_out[path] = str(error)
            continue
        if decoded.picture is None:
            raise ValueError(f"{spec.name}: its YAML says no typicality")
        statistics.append(decoded.picture)
        digests.append(digest)
        waiting[path] = decoded.pixels
        if len(waiting) == _BATCH:
            run()
    if waiting:
        run()
    if len(left_out) > UNREADABLE_AT_MOST * len(given.files):
        raise ReferencePhotosError(
            f"{given.folder}: {photos.described(left_out)}: more than "
            f"{UNREADABLE_AT_MOST:.0%} of {len(given.files)} files: remove or repair them"
        )
    _require_enough(len(statistics), given.folder)
    return Measured(
        np.stack(statistics),
        {name: np.concatenate(parts) for name, parts in features.items()},
        tuple(digests),
        left_out,
    )


def _require_finite(features: Float32, member: str, paths: Sequence[Path]) -> None:
    for row, path in zip(features, paths, strict=True):
        if not np.isfinite(row).all():
            raise ReferencePhotosError(
                f"{path}: {member} gives features of it that are not finite: remove the photo, or "
                "export the member anew, if others are like it"
            )


def _require_enough(count: int, folder: Path) -> None:
    if not count:
        raise ReferencePhotosError(
            f"{folder}: no photo in it: give --reference DIR with {REFERENCE_PHOTOS_AT_LEAST} or "
            "more photos like those that the models were trained on"
        )
    if count < REFERENCE_PHOTOS_AT_LEAST:
        raise ReferencePhotosError(
            f"{folder}: {count} different photos are too few: one half fits, the other one "
            f"calibrates, so give {REFERENCE_PHOTOS_AT_LEAST} or more"
        )


def open_features(form: Form, spec: PipelineSpec) -> FeaturesOf:
    """Loads a form to take features from images, all of one size where the pipeline has one."""
    classifies = spec.task is Task.CLASSIFICATION
    output = protocol.MEMBER_FEATURES if classifies else str(DetectorOutput.FEATURES)
    run = formats.open_features(form.artefact, spec.members[form.name].format, output)
    if spec.preprocessing.size is None:
        return lambda images: np.stack([run(image) for image in images])
    return lambda images: run(np.stack(images))
