"""`python -m export`: checkpoints to a Triton model repository."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from export import class_map as class_maps
from export.arguments import ALL, UsageError, checkpoint_paths, names, only
from export.errors import ExportError
from export.repository import ModelRepository
from pipelines import wire
from pipelines.load import FOLDER, SpecError, load_spec
from pipelines.spec import PipelineSpec

if TYPE_CHECKING:
    from export.labelled_photos import Evidence

ROOT = Path(__file__).parent.parent
screen = Console(stderr=True)
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


def _folder(text: str) -> typer.models.OptionInfo:
    """An option that is a folder which is there."""
    option: typer.models.OptionInfo = typer.Option(
        exists=True, file_okay=False, metavar="DIR", help=text
    )
    return option


@app.command(no_args_is_help=True)
def main(  # noqa: PLR0917 - the command line
    pipelines: Annotated[
        str | None,
        typer.Argument(
            metavar="PIPELINE",
            help="A pipeline, e.g. oral_cancer. With --demo and --configs also several, "
            "comma-separated, or `all`.",
        ),
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEMBER=PATH",
            help="A member's checkpoint, a file or the folder that its library saved; repeat for "
            "each member.",
        ),
    ] = None,
    class_map: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Training's class_map.json, to compare classes with."
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        _folder("Photos that a static INT8 member takes its ranges from."),
    ] = None,
    validation: Annotated[
        Path | None,
        _folder("Labelled photos that judge an INT8 member: one folder for each class."),
    ] = None,
    photos: Annotated[
        Path | None, _folder("Photos for the parity gate; drawings if left out.")
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(min=1, help="Version number to publish; the next free one if left out."),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Train demo weights on drawings and export those.")
    ] = False,
    if_missing: Annotated[
        bool, typer.Option(help="With --demo: do nothing where every member has a version.")
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, help="With --demo: seed of drawings and training.")
    ] = 0,
    configs: Annotated[
        bool, typer.Option("--configs", help="Only write config.pbtxt, of one or all pipelines.")
    ] = False,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = ROOT
    / "model_repository",
    specs: Annotated[Path, typer.Option(help="Folder of the pipelines' YAML files.")] = FOLDER,
) -> None:
    """Puts PyTorch checkpoints on a Triton server.

    Converts each checkpoint to the format its pipeline's YAML names, compares it with the
    checkpoint, and publishes artefact, class map and manifest as a new version. An INT8 member is
    made with the one it is quantised from, and published only if it decides alike.

    [bold]python -m export oral_cancer --checkpoint vgg16=a.pt --checkpoint regnet=b.safetensors[/]

    [bold]python -m export snake_species --checkpoint fp32=a.pt --class-map class_map.json
    --calibration photos/ --validation labelled/[/]

    [bold]python -m export all --demo[/]  makes demo weights from drawings: for trying things out
    only.
    """
    target = ModelRepository(repository)
    try:
        if configs:
            for name in names(pipelines or ALL, specs):
                _write_configs(load_spec(name, specs), target, specs)
            return
        if demo == bool(checkpoint):
            raise UsageError("give --checkpoint MEMBER=PATH for each member, or --demo")  # noqa: TRY301
        if demo:
            specs_of = [
                load_spec(name, specs) for name in names(pipelines or wire.DEFAULT_PIPELINE, specs)
            ]
            _demos(specs_of, target, specs, version=version, seed=seed, if_missing=if_missing)
            return
        spec = load_spec(only(pipelines), specs)
        if class_map:
            class_maps.check(class_map, spec.classes, f"{specs.name}/{spec.name}.yaml")
        files = checkpoint_paths(checkpoint or [])
        _write_configs(spec, target, specs)
        evidence = _evidence(spec, files, calibration, validation)
        _export(spec, files, target, version=version, photos=photos, evidence=evidence)
    except (SpecError, UsageError, ExportError) as error:
        _say(error)
        raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None


def _say(error: Exception) -> None:
    screen.print(f"export: {error}", style="red", markup=False, highlight=False, soft_wrap=True)


def _write_configs(spec: PipelineSpec, target: ModelRepository, specs: Path) -> None:
    for path in target.write_configs(spec, f"{specs.name}/{spec.name}.yaml"):
        screen.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _members_without_version(spec: PipelineSpec, target: ModelRepository) -> list[str]:
    return [
        member
        for member in spec.members
        if not target.versions(wire.member_model(spec.name, member))
    ]


def _evidence(
    spec: PipelineSpec, files: dict[str, Path], calibration: Path | None, validation: Path | None
) -> "Evidence | None":
    """The folders' photos, where a member is quantised from one of the checkpoints."""
    from export.labelled_photos import read_evidence  # noqa: PLC0415 - torch: keep --help quick
    from export.quantised_members import needs_calibration, quantised_from  # noqa: PLC0415

    derived = quantised_from(spec, files)
    if not derived or validation is None:
        return None
    with screen.status("reading photos"):
        ranges = calibration if needs_calibration(spec, derived) else None
        return read_evidence(spec, ranges, validation)


def _demos(
    pipelines: list[PipelineSpec],
    target: ModelRepository,
    specs: Path,
    *,
    version: int | None,
    seed: int,
    if_missing: bool,
) -> None:
    """Demo weights of each pipeline; one that fails does not keep the others from theirs."""
    failed = False
    for spec in pipelines:
        try:
            _write_configs(spec, target, specs)
            if not if_missing or _members_without_version(spec, target):
                _demo(spec, target, version, seed)
        except ExportError as error:
            _say(error)
            failed = True
    if failed:
        raise typer.Exit(1)


def _demo(spec: PipelineSpec, target: ModelRepository, version: int | None, seed: int) -> None:
    from export.demo.progress import shown_on  # noqa: PLC0415 - torch: keep --help quick
    from export.demo.training import train  # noqa: PLC0415
    from export.labelled_photos import drawn_evidence  # noqa: PLC0415
    from export.quantised_members import quantised_from  # noqa: PLC0415

    screen.print(
        f"{spec.name}: making demo weights from drawings: they mean nothing clinically.",
        style="yellow",
        highlight=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        with shown_on(screen) as on_progress:
            report = train(spec, Path(folder), seed, on_progress)
        screen.print(report.summary(), highlight=False, soft_wrap=True)
        evidence = drawn_evidence(spec, seed) if quantised_from(spec, report.files) else None
        _export(spec, report.files, target, version=version, evidence=evidence)


def _export(
    spec: PipelineSpec,
    files: dict[str, Path],
    target: ModelRepository,
    *,
    version: int | None,
    photos: Path | None = None,
    evidence: "Evidence | None",
) -> None:
    from export import table  # noqa: PLC0415 - torch: keep --help quick
    from export.release import export  # noqa: PLC0415

    with screen.status("starting") as status:

        def on_step(text: str) -> None:
            status.update(text)
            if not screen.is_terminal:
                screen.print(text, highlight=False)

        exported = export(
            spec,
            files,
            target,
            version=version,
            photos=photos,
            evidence=evidence,
            on_step=on_step,
        )
    screen.print(table.of_exported(exported))
    if missing := _members_without_version(spec, target):
        screen.print(f"{spec.name} cannot be served before it has: {', '.join(missing)}")


if __name__ == "__main__":
    app(prog_name="python -m export")
