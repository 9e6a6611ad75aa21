"""`python -m export`: checkpoints to a Triton model repository."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from export.errors import ExportError
from export.repository import ModelRepository
from pipelines import wire
from pipelines.load import FOLDER, SpecError, available, load_spec
from pipelines.spec import PipelineSpec

ROOT = Path(__file__).parent.parent
screen = Console(stderr=True)
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


class UsageError(ValueError):
    """Arguments that do not go together."""


@app.command(no_args_is_help=True)
def main(  # noqa: PLR0917 - the command line
    pipeline: Annotated[str | None, typer.Argument(help="A pipeline, e.g. oral_cancer.")] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(metavar="MEMBER=FILE", help="A member's checkpoint; repeat for each member."),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(min=1, help="Version number to publish; the next free one if left out."),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of photos for the parity gate; drawings if left out.",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Train demo weights on drawings and export those.")
    ] = False,
    if_missing: Annotated[
        bool, typer.Option(help="With --demo: do nothing where every member has a version.")
    ] = False,
    seed: Annotated[int, typer.Option(help="With --demo: seed of drawings and training.")] = 0,
    configs: Annotated[
        bool, typer.Option("--configs", help="Only write config.pbtxt, of one or all pipelines.")
    ] = False,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = ROOT
    / "model_repository",
    specs: Annotated[Path, typer.Option(help="Folder of the pipelines' YAML files.")] = FOLDER,
) -> None:
    """Puts PyTorch checkpoints on a Triton server.

    Converts each checkpoint to the format its pipeline's YAML names, compares it with the
    checkpoint, and publishes artefact, class map and manifest as a new version.

    [bold]python -m export oral_cancer --checkpoint vgg16=a.pt --checkpoint regnet=b.safetensors[/]

    [bold]python -m export --demo[/]  makes demo weights from drawings: for trying things out only.
    """
    target = ModelRepository(repository)
    try:
        if configs:
            for name in [pipeline] if pipeline else available(specs):
                _write_configs(load_spec(name, specs), target, specs)
            return
        _require_one_source(pipeline, checkpoint, demo=demo)
        spec = load_spec(pipeline or wire.DEFAULT_PIPELINE, specs)
        _write_configs(spec, target, specs)
        if not demo:
            _export(spec, _checkpoint_files(checkpoint or []), target, version, photos)
        elif not (if_missing and _complete(spec, target)):
            _demo(spec, target, version, seed)
    except (SpecError, UsageError, ExportError) as error:
        screen.print(f"export: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None


def _require_one_source(pipeline: str | None, checkpoints: list[str] | None, *, demo: bool) -> None:
    if demo == bool(checkpoints):
        raise UsageError("give --checkpoint MEMBER=FILE for each member, or --demo")
    if pipeline is None and not demo:
        raise UsageError("name the pipeline, for instance: python -m export oral_cancer ...")


def _checkpoint_files(arguments: list[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for argument in arguments:
        member, separator, path = argument.partition("=")
        if not separator or not path:
            raise UsageError(f"--checkpoint {argument}: write MEMBER=FILE, e.g. vgg16=vgg16.pt")
        if member in files:
            raise UsageError(f"--checkpoint {argument}: {member} is given twice")
        files[member] = Path(path)
    return files


def _write_configs(spec: PipelineSpec, target: ModelRepository, specs: Path) -> None:
    for path in target.write_configs(spec, f"{specs.name}/{spec.name}.yaml"):
        screen.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _complete(spec: PipelineSpec, target: ModelRepository) -> bool:
    return not _members_without_version(spec, target)


def _members_without_version(spec: PipelineSpec, target: ModelRepository) -> list[str]:
    return [
        member
        for member in spec.members
        if not target.versions(wire.member_model(spec.name, member))
    ]


def _demo(spec: PipelineSpec, target: ModelRepository, version: int | None, seed: int) -> None:
    from export.demo.progress import shown_on  # noqa: PLC0415 - torch: keep --help quick
    from export.demo.training import train  # noqa: PLC0415

    screen.print("Making demo weights from drawings: they mean nothing clinically.", style="yellow")
    with tempfile.TemporaryDirectory() as folder:
        with shown_on(screen) as on_progress:
            report = train(spec, Path(folder), seed, on_progress)
        screen.print(report.summary(), highlight=False, soft_wrap=True)
        _export(spec, report.files, target, version, None)


def _export(
    spec: PipelineSpec,
    files: dict[str, Path],
    target: ModelRepository,
    version: int | None,
    photos: Path | None,
) -> None:
    from export.release import export  # noqa: PLC0415 - torch: keep --help quick

    with screen.status("starting") as status:

        def on_step(text: str) -> None:
            status.update(text)
            if not screen.is_terminal:
                screen.print(text, highlight=False)

        exported = export(spec, files, target, version=version, photos=photos, on_step=on_step)
    table = Table("member", "version", "artefact", "MB", "parity error", "weights", "sha256")
    for item in exported:
        table.add_row(
            item.member,
            str(item.manifest.version),
            item.manifest.artefact,
            f"{item.bytes / 1e6:.1f}",
            f"{item.manifest.parity_error:.1e}",
            item.manifest.weights,
            item.manifest.artefact_sha256[:12],
        )
    screen.print(table)
    if missing := _members_without_version(spec, target):
        screen.print(f"{spec.name} cannot be served before it has: {', '.join(missing)}")


if __name__ == "__main__":
    app(prog_name="python -m export")
