"""`python -m releases card`: writes the model card of a release."""

import sys
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[2]
_CANNOT = 2


def card(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE")],
    release: Annotated[
        str | None,
        typer.Argument(metavar="RELEASE", help="Left out: the one that serves the profile."),
    ] = None,
    *,
    profile: Annotated[str, typer.Option(metavar="NAME", help="Of the YAML.")] = "default",
    evaluation: Annotated[
        Path | None,
        typer.Option(metavar="REPORT", help="The report.json of an evaluation of this release."),
    ] = None,
    gate: Annotated[
        Path | None,
        typer.Option(metavar="REPORT", help="Left out: the newest that is kept with the release."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Left out: card-PIPELINE-RELEASE.html.")
    ] = None,
    repository: Annotated[
        Path, typer.Option(help="Triton's model repository.", file_okay=False)
    ] = ROOT / "model_repository",
    specs: Annotated[Path, typer.Option(help="Folder of the pipelines' YAML.")] = (
        ROOT / "pipelines"
    ),
) -> None:
    """Writes one page that says what a release is, for whom, and what was measured of it."""
    from evaluation import report as evaluations  # noqa: PLC0415 - quick --help
    from evaluation.errors import EvaluationError  # noqa: PLC0415
    from pipelines.atomic_write import write_text  # noqa: PLC0415
    from pipelines.gate_verdict import kept  # noqa: PLC0415
    from pipelines.load import SpecError, load_definition  # noqa: PLC0415
    from pipelines.release import Release, ReleaseError  # noqa: PLC0415
    from releases.card.card import Evidence, render  # noqa: PLC0415
    from releases.gate.report import GateReport  # noqa: PLC0415

    try:
        definition = load_definition(pipeline, specs)
        if release is None:
            found = Release.current(pipeline, profile, repository)
        else:
            found = Release.read(pipeline, release, repository)
        newest = gate or next(reversed(kept(repository, pipeline, found.identity)), None)
        judged = None if newest is None else GateReport.read(newest)
        measured = None if evaluation is None else evaluations.read(evaluation)
        of_release = pipeline, found.identity
        if measured is not None:
            _require(evaluation, (measured.pipeline, measured.release), of_release)
        if judged is not None:
            _require(newest, (judged.pipeline, judged.candidate), of_release)
        file = out or Path(f"card-{pipeline}-{found.identity}.html")
        write_text(file, render(definition, found, Evidence(judged, measured)))
    except (EvaluationError, ReleaseError, SpecError) as error:
        sys.stderr.write(f"releases: {error}\n")
        raise typer.Exit(_CANNOT) from None
    except OSError as error:
        sys.stderr.write(f"releases: {error.filename}: {error.strerror}\n")
        raise typer.Exit(_CANNOT) from None
    typer.echo(str(file))


def _require(file: Path | None, said: tuple[str, str], expected: tuple[str, str]) -> None:
    from evaluation.errors import EvaluationError  # noqa: PLC0415 - quick --help

    if said != expected:
        raise EvaluationError(f"{file}: is of {' '.join(said)}, not of {' '.join(expected)}")
