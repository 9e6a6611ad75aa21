"""`python -m export.fast_decoding`: tests whether a pipeline may decode photos by `fast`."""

from pathlib import Path
from typing import Annotated

import typer

from export import formats, photos, releases
from export.console import say, screen
from export.decoding_gate import Artefact, measure
from export.errors import ExportError, RepositoryError
from export.progress import Steps, shown_on
from export.repository import ModelRepository
from pipelines import atomic_write, protocol
from pipelines.fast_decoding import PHOTOS_AT_LEAST, FastDecoding
from pipelines.load import FOLDER, SpecError, load_spec
from pipelines.manifest import Manifest, ManifestError
from pipelines.release_files import version_folder
from pipelines.spec import PipelineSpec

ROOT = Path(__file__).parent.parent


def main(
    pipeline: Annotated[str, typer.Argument(help="E.g. oral_cancer.")],
    folder: Annotated[
        Path,
        typer.Option(
            "--photos",
            exists=True,
            file_okay=False,
            metavar="DIR",
            help=f"JPEG photos like those that are served, {PHOTOS_AT_LEAST} or more.",
        ),
    ],
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="A profile of the YAML that decodes by fast.")
    ] = "fast",
    repository: Annotated[Path, typer.Option(help="The model repository.")] = ROOT
    / "model_repository",
    specs: Annotated[Path, typer.Option(help="Folder of the pipelines' YAML files.")] = FOLDER,
) -> None:
    """Judges `fast` decoding with the exported members that a profile serves.

    Writes the figures beside the pipeline's model, where the launcher looks for them: a profile
    that decodes by `fast` is not served without. Exit code 1 where a bound was not kept.
    """
    try:
        record = judge(load_spec(pipeline, specs, profile), ModelRepository(repository), folder)
    except (ExportError, SpecError) as error:
        say(error)
        raise typer.Exit(1) from None
    for text, kept in record.verdicts().items():
        screen.print(f"{'kept' if kept else 'LOST'}: {text}", highlight=False)
    if not record.passed:
        screen.print(
            f"{pipeline} cannot be served under {profile}: a larger `reserve` in its YAML (then "
            "`make configs`) may come closer; otherwise serve `exact`",
            style="red",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(1)


def judge(spec: PipelineSpec, repository: ModelRepository, folder: Path) -> FastDecoding:
    """Measures, and writes the record, passed or not.

    Args:
        spec: as a profile serves it that decodes by `fast`.
        repository: where its members are, and the record will be.
        folder: of photos.

    Raises:
        ExportError: no members, no photos, or nothing to judge.
    """
    versions = releases.choose(spec, repository)
    artefacts = {
        name: _artefact(spec, name, versions.get(name), repository) for name in spec.members
    }
    files = photos.files_below(folder)
    with shown_on(screen) as on_progress:
        steps = Steps(len(files), on_progress)
        steps.begin(f"{spec.name}: comparing answers to {len(files)} photos")
        record = measure(spec, artefacts, files, steps.advance)
    _write(record, FastDecoding.path(spec, repository.root))
    return record


def _artefact(
    spec: PipelineSpec, member: str, version: int | None, repository: ModelRepository
) -> Artefact:
    """The artefact of a member's version."""
    if version is None:
        raise RepositoryError(
            f"{repository.root / protocol.member_model(spec.name, member)}: no version: run python "
            f"-m export {spec.name} --profile {spec.profile} --checkpoint "
            f"{spec.origin(member)}=FILE"
        )
    folder = repository.root / version_folder(spec.name, member, version)
    try:
        manifest = Manifest.read(folder)
        manifest.verify(folder)
    except ManifestError as error:
        raise RepositoryError(str(error)) from None
    run = formats.open_artefact(folder / manifest.artefact, spec.members[member].format)
    return Artefact(run, manifest.artefact_sha256)


def _write(record: FastDecoding, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write.write_text(path, record.model_dump_json(indent=2) + "\n")
    screen.print(f"wrote {path}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
