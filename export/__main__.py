"""`python -m export`: converts checkpoints into a Triton model repository."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from secondopinion import photo_files

from export import console, releases
from export.arguments import ALL, UsageError, checkpoint_paths, definitions, only
from export.class_order import require_classes
from export.class_statements import of_class_map
from export.errors import ExportError
from export.plan import plan
from export.read_options import ReadOptions, Weights
from export.reference_forms import require_source
from export.repository import ModelRepository
from export.tracked import tracked_run
from pipelines.definition import PipelineDefinition
from pipelines.load import FOLDER, SpecError, load_definition, require_profile
from pipelines.profile import DEFAULT_PROFILE
from pipelines.release import ReleaseError
from tracking.server import MLFLOW_HELP, TrackingError, TrackingServer

if TYPE_CHECKING:
    from export.calibration import Calibrations
    from export.labelled_photos import Evidence

ROOT = Path(__file__).parent.parent
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
            help="A pipeline, e.g. oral_cancer. With --configs also several, comma-separated, or "
            "`all`.",
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
    profile: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Export the members that this profile of the YAML serves."
        ),
    ] = DEFAULT_PROFILE,
    class_map: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Training's class map (JSON, YAML, or a name a line): the order of the outputs of "
            "checkpoints that do not say it, and a check of those that do.",
        ),
    ] = None,
    classes_confirmed: Annotated[
        bool,
        typer.Option(
            "--classes-confirmed",
            help="Checkpoints that do not say their classes have them in the YAML's order.",
        ),
    ] = False,
    calibration: Annotated[
        Path | None,
        _folder("Photos that a static INT8 member takes its ranges from."),
    ] = None,
    validation: Annotated[
        Path | None,
        _folder("Labelled photos that judge an INT8 member: one folder for each class."),
    ] = None,
    calibration_labels: Annotated[
        Path | None,
        _folder(
            "Labelled photos that training did not see, to calibrate the confidence with: one "
            "folder for each class."
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        _folder(
            "1,000 or more photos like those that the models were trained on, without labels: what "
            "images are compared with, to tell those of another kind (docs/typicality.md)."
        ),
    ] = None,
    photos: Annotated[
        Path | None, _folder("Photos for the parity gate; those of samples/ if left out.")
    ] = None,
    weights: Annotated[
        Weights | None,
        typer.Option(
            help="Of a checkpoint that holds both: the raw weights, or their average (EMA, SWA)."
        ),
    ] = None,
    preprocessing_confirmed: Annotated[
        bool,
        typer.Option(
            "--preprocessing-confirmed",
            help="The YAML's preprocessing is right, where a checkpoint says another one.",
        ),
    ] = False,
    version: Annotated[
        int | None,
        typer.Option(min=1, help="Version number to publish; the next free one if left out."),
    ] = None,
    configs: Annotated[
        bool,
        typer.Option("--configs", help="Only write configs and releases, of one or all pipelines."),
    ] = False,
    use: Annotated[
        str | None,
        typer.Option(
            metavar="RELEASE",
            help="Only serve a release that was made earlier (a rollback), e.g. 1-3fa9c2d1; "
            "restart the server then.",
        ),
    ] = None,
    mlflow: Annotated[str | None, typer.Option(metavar="URL", help=MLFLOW_HELP)] = None,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = ROOT
    / "model_repository",
    specs: Annotated[Path, typer.Option(help="Folder of the pipelines' YAML files.")] = FOLDER,
) -> None:
    """Puts PyTorch checkpoints on a Triton server.

    Converts each checkpoint to the format its pipeline's YAML names, compares it with the
    checkpoint, and publishes artefact, class map and manifest as a new version. An INT8 member is
    published only if it decides as its FP32 original does. Then it makes the releases that the
    server serves: one for each profile whose members are all there.

    [bold]python -m export oral_cancer --checkpoint vgg16=a.pt --checkpoint regnet=b.safetensors[/]

    [bold]python -m export snake_species --checkpoint fp32=a.pt --class-map class_map.json
    --calibration photos/ --validation labelled/[/]

    A checkpoint is given by the member that has it and makes all forms of it that the profile
    serves: --checkpoint regnet=b.pt also makes regnet_onnx or regnet_int8.

    --reference DIR goes with checkpoints, or alone with the versions that there are.
    """
    target = ModelRepository(repository)
    try:
        if mlflow is not None and (configs or use is not None or not checkpoint):
            raise UsageError("--mlflow: goes with --checkpoint")  # noqa: TRY301
        server = None if mlflow is None else TrackingServer.at(mlflow)
        if use is not None:
            release = releases.use(load_definition(only(pipelines), specs), use, target)
            console.say_serves(release)
            return
        if configs:
            wholes, problems = definitions(pipelines or ALL, specs)
            for problem in problems:
                console.say(problem)
            for each in wholes:
                console.write_configs(each, target, specs)
            raise typer.Exit(1 if problems else 0)
        if not checkpoint and reference is None:
            raise UsageError("give --checkpoint MEMBER=PATH for each member")  # noqa: TRY301
        whole = load_definition(only(pipelines), specs)
        require_profile(profile, [whole])
        files = checkpoint_paths(checkpoint or [])
        members = list(whole.resolve(profile).members)
        planned = plan(whole, files, members)
        if reference:
            require_source(whole, target, planned.published)
        found = console.reference_photos(whole, reference, validation) if reference else None
        if not checkpoint:
            console.write_configs(whole, target, specs)
            console.fit_references(whole, found, target)
            return
        said = of_class_map(class_map) if class_map else None
        if said:
            require_classes(said, whole)
        console.write_configs(whole, target, specs)
        exported, made = console.export(
            whole,
            files,
            target,
            members=members,
            profile=profile,
            version=version,
            photos=photos,
            evidence=_evidence(whole, planned.quantised, calibration, validation),
            calibrations=_calibrations(
                whole, calibration_labels, [each for each in (calibration, validation) if each]
            ),
            options=ReadOptions(
                weights,
                preprocessing_confirmed,
                class_map=said,
                classes_confirmed=classes_confirmed,
            ),
        )
        made += console.fit_references(whole, found, target)
        if server is not None:
            console.track(server, tracked_run(whole, profile, exported, made, repository))
    except (SpecError, UsageError, TrackingError, ExportError, ReleaseError, OSError) as error:
        console.say(error)
        raise typer.Exit(2 if isinstance(error, UsageError | TrackingError) else 1) from None


def _evidence(
    whole: PipelineDefinition,
    quantised: list[str],
    calibration: Path | None,
    validation: Path | None,
) -> "Evidence | None":
    """The folders' photos, where a member is quantised."""
    # torch: keep --help quick
    from export.labelled_photos import needs_calibration, read_evidence  # noqa: PLC0415

    if not quantised or validation is None:
        return None
    with console.screen.status("reading photos"):
        ranges = calibration if needs_calibration(whole, quantised) else None
        evidence = read_evidence(whole, ranges, validation)
    if evidence.left_out:
        console.say(f"{whole.name}: {photo_files.described(evidence.left_out)}")
    return evidence


def _calibrations(
    whole: PipelineDefinition, labels: Path | None, seen: list[Path]
) -> "Calibrations | None":
    """What the folder's photos calibrate with, if there is one."""
    if labels is None:
        return None
    # torch: keep --help quick
    from export.calibration import Calibrations  # noqa: PLC0415
    from export.calibration_labels import read_calibration_photos  # noqa: PLC0415

    with console.screen.status("reading labelled photos"):
        photos = read_calibration_photos(whole, labels, seen)
    if photos.left_out:
        console.say(f"{whole.name}: {photo_files.described(photos.left_out)}")
    return Calibrations(photos)


if __name__ == "__main__":
    app(prog_name="python -m export")
