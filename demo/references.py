"""`python -m demo.references`: makes the references for typicality of the committed checkpoints.

A reference takes minutes of CPU time, so those of the committed checkpoints are committed beside
them, for FP32 and INT8. The demo's export publishes them. FP16 has that of FP32: what differs is
rounding. A checkpoint that was trained anew needs new ones; `references.json` says of which
checkpoint they are.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from demo.figures import CHECKPOINTS
from demo.reference import photo
from export import references
from export.arguments import ALL, names
from export.console import say, screen
from export.errors import ExportError
from export.progress import shown_on
from export.reference_forms import Form, forms
from export.repository import ModelRepository
from inference.reference_view import View
from inference.typicality import Reference
from pipelines import atomic_write
from pipelines.definition import PipelineDefinition
from pipelines.load import FOLDER, SpecError, load_definition
from pipelines.manifest import sha256_of

PHOTOS = 1500
FILENAME = "references.json"
# Far from the seeds of trainings, gates and held-out drawings.
_FIRST_SEED = 2**51


class StaleReferenceError(ExportError):
    """A committed reference that is not of the committed checkpoint."""


def main(
    pipelines: Annotated[
        str, typer.Argument(metavar="PIPELINE", help="One, several with commas between, or `all`.")
    ] = ALL,
) -> None:
    """Makes references of the committed checkpoints from drawings, in place of those there are.

    Takes minutes for each pipeline.
    """
    try:
        for name in names(pipelines, FOLDER):
            make(load_definition(name))
    except (ExportError, SpecError) as error:
        say(error)
        raise typer.Exit(1) from None


def make(whole: PipelineDefinition, count: int = PHOTOS, folder: Path | None = None) -> None:
    """Makes the references of a pipeline.

    Args:
        whole: the pipeline.
        count: drawings.
        folder: where to put them; beside the committed checkpoints if left out.
    """
    # torch: nothing else here needs it, and `make serve` runs `publish`.
    from export import reference_fit, reference_photos  # noqa: PLC0415

    place = folder or CHECKPOINTS / whole.name
    with tempfile.TemporaryDirectory() as scratch, shown_on(screen) as on_progress:
        drawn = Path(scratch, "drawings")
        drawn.mkdir()
        for number in range(count):
            on_progress(f"{whole.name}: drawing", number, count)
            (drawn / f"{number}.jpg").write_bytes(photo(whole, _FIRST_SEED + number))
        with _exported(whole, Path(scratch)) as made:
            given = reference_photos.find(drawn)
            measured = reference_photos.measure(given, whole, made, on_progress)
            said = {}
            for form in made:
                precision = whole.members[form.name].precision
                reference = _smaller(reference_fit.make(measured, whole, form))
                path = place / f"typicality_{precision}.npz"
                reference.save(path)
                of = {"sha256": sha256_of(path), "checkpoint": checkpoint_digest(whole)}
                said[precision] = of
    atomic_write.write_text(place / FILENAME, json.dumps(said, indent=2) + "\n")


def publish(whole: PipelineDefinition, repository: ModelRepository) -> list[str]:
    """Publishes the committed references of the demo weights that a repository has.

    Returns:
        SHA-256 of each one's file; none where there is none of this pipeline.

    Raises:
        StaleReferenceError: one is not of the committed checkpoint.
    """
    place = CHECKPOINTS / whole.name
    if whole.typicality is None or not (place / FILENAME).is_file():
        return []
    said = json.loads((place / FILENAME).read_text("utf-8"))
    published = []
    for form in forms(whole, repository):
        if form.manifest.weights != "demo":
            continue
        precision = whole.members[form.name].precision
        known = "fp32" if precision == "fp16" else precision
        if known not in said:
            continue
        path = place / f"typicality_{known}.npz"
        if said[known] != {"sha256": sha256_of(path), "checkpoint": checkpoint_digest(whole)}:
            raise StaleReferenceError(
                f"{path}: is not of the committed checkpoint: run python -m demo.references "
                f"{whole.name}"
            )
        reference = Reference.load(path)
        _require_fit(reference, whole, form, path)
        origin = references.origin_of(
            whole, form.manifest, reference.about["photos"], reference.about["photos_sha256"]
        )
        of_form = replace(reference, about=origin.model_dump(mode="json"))
        published.append(references.publish(of_form, repository.root))
    return published


@contextmanager
def _exported(whole: PipelineDefinition, scratch: Path) -> Iterator[list[Form]]:
    """The member that features are taken from, exported in FP32 and, where there is one, INT8."""
    from demo.expansion import exportable  # noqa: PLC0415 - torch, as above
    from demo.labelled import evidence  # noqa: PLC0415
    from export import versions  # noqa: PLC0415

    origin = _member(whole)
    every = [name for name in whole.members if whole.origin(name) == origin]
    chosen = [name for name in every if whole.members[name].precision != "fp16"]
    repository = ModelRepository(scratch / "model_repository")
    quantised = any(whole.members[name].quantisation for name in chosen)
    versions.export(
        whole,
        exportable(whole, [origin], scratch),
        repository,
        members=chosen,
        evidence=evidence(whole) if quantised else None,
    )
    yield forms(whole, repository)


def _member(whole: PipelineDefinition) -> str:
    if whole.typicality is None or whole.typicality.member is None:
        raise StaleReferenceError(f"{whole.name}: its YAML names no member for typicality")
    return whole.origin(whole.typicality.member)


def _require_fit(reference: Reference, whole: PipelineDefinition, form: Form, path: Path) -> None:
    known = None if reference.features is None else len(reference.features.mean)
    if known != whole.members[form.name].features:
        raise StaleReferenceError(
            f"{path}: is of {known} features, and {whole.name}.yaml says "
            f"{whole.members[form.name].features}: run python -m demo.references {whole.name}"
        )


def checkpoint_digest(whole: PipelineDefinition) -> str:
    """SHA-256 over the files of the committed checkpoint that features come from."""
    files = sorted((CHECKPOINTS / whole.name).glob(f"{_member(whole)}*"))
    every = [each for path in files for each in ([path] if path.is_file() else path.iterdir())]
    return hashlib.sha256("".join(map(sha256_of, sorted(every))).encode()).hexdigest()


def _smaller(reference: Reference) -> Reference:
    """In single precision, which halves the file."""
    features = reference.features and _single(reference.features)
    return replace(reference, picture=_single(reference.picture), features=features)


def _single(view: View) -> View:
    numbers: dict[str, Any] = {key: np.float32(value) for key, value in vars(view).items()}
    return View(**numbers)


if __name__ == "__main__":
    typer.run(main)
