"""`python -m releases gate`: judges a candidate release on labelled photos."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from releases.exposition import ExpositionError
from tracking.server import MLFLOW_HELP, TrackedRun, TrackingError, TrackingServer

if TYPE_CHECKING:
    from releases.gate.answers import CanaryAnswers
    from releases.gate.recording import Asked
    from releases.gate.report import GateReport

ROOT = Path(__file__).parents[2]
Images = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of a COCO file's photos, if not beside it."),
]
Repository = Annotated[Path, typer.Option(help="Triton's model repository.", file_okay=False)]
Specs = Annotated[Path, typer.Option(help="Folder of the pipelines' YAML, with the margins.")]
Concurrency = Annotated[
    int, typer.Option(min=1, max=64, help="Number of photos in flight at the same time.")
]
Json = Annotated[bool, typer.Option("--json", help="Prints the report as JSON.")]
REPOSITORY, SPECS, CONCURRENCY = ROOT / "model_repository", ROOT / "pipelines", 4
_CANNOT = 2
EXIT_STATUS = {"pass": 0, "fail": 1, "not enough evidence": 3}


def gate(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE")],
    labels: Annotated[
        Path | None,
        typer.Argument(
            help="The canary set: a CSV (columns file, label), a folder with a sub-folder for each "
            "class, or of a detector a COCO instances JSON. Not needed for recorded answers."
        ),
    ] = None,
    *,
    current: Annotated[
        str | None,
        typer.Option(metavar="URL|FILE", help="A service of the current release, or its answers."),
    ] = None,
    candidate: Annotated[
        str | None,
        typer.Option(metavar="URL|FILE", help="Likewise of the candidate."),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A service that has both loaded, and is asked by an operator's key. Where neither "
            "--current nor --candidate is named: this one, or the environment's.",
        ),
    ] = None,
    from_kept: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="In place of LABELS: the images that this service kept, with their feedback.",
        ),
    ] = None,
    images: Images = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="A column of the labels whose values are subgroups; may be repeated. Beside "
            "those of gate.subgroups in the YAML.",
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Writes the answers of the one service that is named, and judges nothing.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the report goes (JSON; the page beside it). Left out: with the candidate, "
            "in the model repository.",
        ),
    ] = None,
    repository: Repository = REPOSITORY,
    specs: Specs = SPECS,
    concurrency: Concurrency = CONCURRENCY,
    mlflow: Annotated[str | None, typer.Option(metavar="URL", help=MLFLOW_HELP)] = None,
    as_json: Json = False,
) -> None:
    """Says whether a candidate may take the place of the current release: pass, fail, or not
    enough evidence.

    Ends with 0 where it passes, 1 where it fails, 3 where the evidence is not enough, 2 where
    nothing could be judged. docs/gate.md says what is judged.
    """  # noqa: D205 - typer shows the whole text
    with ends():
        # The libraries of science: quick --help.
        from evaluation.errors import EvaluationError  # noqa: PLC0415
        from pipelines.gate_verdict import kept  # noqa: PLC0415
        from pipelines.load import load_definition  # noqa: PLC0415
        from releases.gate import page  # noqa: PLC0415
        from releases.gate.judgement import judge  # noqa: PLC0415
        from releases.gate.recording import current_and_candidate  # noqa: PLC0415
        from releases.gate.report import keep, place  # noqa: PLC0415
        from releases.gate.tracked import tracked_run  # noqa: PLC0415

        server = None if mlflow is None else TrackingServer.at(mlflow)
        margins = load_definition(pipeline, specs).gate
        columns = tuple(dict.fromkeys([*margins.subgroups, *(by or [])]))
        named: list[str | Asked] = [each for each in (current, candidate) if each is not None]
        if service is not None and named:
            raise EvaluationError("--service: leave it out, or --current and --candidate")
        if not named and record is None:
            named += current_and_candidate(pipeline, service)
        if len(named) != (1 if record else 2):
            raise EvaluationError(
                "--record: name one service with --current or --candidate"
                if record
                else "name both --current and --candidate: a URL, or a file of recorded answers"
            )
        with _canary_set(pipeline, labels, from_kept) as found:
            answers = [
                answers_of(
                    each,
                    pipeline,
                    found,
                    images,
                    columns=columns,
                    repository=repository,
                    concurrency=concurrency,
                )
                for each in named
            ]
        if record is not None:
            answers[0].write(record)
            typer.echo(f"{len(answers[0].photos)} photos, release {answers[0].release}: {record}")
            name_unanswered(answers)
            return
        for each in answers:
            if each.pipeline != pipeline:
                raise EvaluationError(
                    f"the answers are of pipeline {each.pipeline}, not {pipeline}"
                )
        report = judge(answers[0], answers[1], margins)
        name_unanswered(answers)
        former = len(kept(repository, pipeline, report.candidate))
        file = out or place(repository, report)
        shown = page.render(report)
        keep(report, shown, file)
        if server is not None:
            _track(server, tracked_run(report, shown, repository))
        if as_json:
            typer.echo(report.model_dump_json(indent=1))
        else:
            say(report, file, former)
    raise typer.Exit(EXIT_STATUS[report.result])


@contextmanager
def _canary_set(pipeline: str, labels: Path | None, from_kept: str | None) -> Iterator[Path | None]:
    """The labels; those of kept images are fetched into a folder that goes when the block ends."""
    import tempfile  # noqa: PLC0415 - only here

    from evaluation.errors import EvaluationError  # noqa: PLC0415 - as above
    from evaluation.kept_images import INSTANCES, TABLE, export  # noqa: PLC0415
    from evaluation.settings import connect  # noqa: PLC0415

    if from_kept is None:
        yield labels
        return
    if labels is not None:
        raise EvaluationError("--from-kept: leave it out, or LABELS")
    with tempfile.TemporaryDirectory() as folder, connect(from_kept) as client:
        facts = client.pipeline(pipeline)
        export(client, facts, Path(folder))
        yield Path(folder) / (INSTANCES if facts.detects else TABLE)


def answers_of(
    said: "str | Asked",
    pipeline: str,
    labels: Path | None,
    images: Path | None,
    *,
    columns: tuple[str, ...],
    repository: Path,
    concurrency: int,
) -> "CanaryAnswers":
    """The answers in a file, or of a service that is asked.

    Raises:
        EvaluationError: There are none, or the labels are not usable.
        SecondOpinionError: The service is gone, or wants another API key.
    """
    from evaluation.errors import EvaluationError  # noqa: PLC0415 - as above
    from releases.gate.answers import CanaryAnswers  # noqa: PLC0415

    if isinstance(said, str) and not said.startswith(("http://", "https://")):
        return CanaryAnswers.read(Path(said))
    from releases.gate.recording import Asked, CanarySet, record  # noqa: PLC0415

    if labels is None:
        raise EvaluationError("a service is asked about photos: name LABELS")
    asked = Asked(said) if isinstance(said, str) else said
    canaries = CanarySet(labels=labels, images=images, columns=columns, repository=repository)
    return record(pipeline, asked, canaries, concurrency)


def name_unanswered(answers: Sequence["CanaryAnswers"]) -> None:
    """Says how many photos have no answer."""
    for each in answers:
        if silent := sum(not photo.answered for photo in each.photos):
            sys.stderr.write(
                f"releases: {each.release} has no answer to {silent} photos, which count as wrong "
                "(`python -m evaluation` names them)\n"
            )


def _track(server: TrackingServer, run: TrackedRun) -> None:
    """On the error's stream: the report may be read by a program."""
    try:
        sys.stderr.write(f"releases: tracked as run {server.tell(run)}\n")
    except TrackingError as error:
        sys.stderr.write(f"releases: {error}. The report is kept all the same\n")


def say(report: "GateReport", file: Path | None, former: int) -> None:
    """Prints the figures of both, and the result."""
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415

    from evaluation.tables.layout import DEMO_NOTE  # noqa: PLC0415

    screen = Console(highlight=False, markup=False, soft_wrap=True)
    screen.print(
        f"{report.pipeline}: candidate {report.candidate} beside {report.current}, "
        f"{report.canaries.photos} photos"
    )
    if report.demo:
        screen.print(DEMO_NOTE)
    header = ("figure", "current", "candidate", "difference", "interval", "limit", "of", "result")
    shown = Table(*header, box=None)
    for each in report.checks:
        between = "-" if each.low is None else f"{each.low:+.3f} to {each.high:+.3f}"
        numbers = [each.current, each.candidate, each.difference]
        shown.add_row(
            each.title,
            *("-" if value is None else f"{value:.3f}" for value in numbers),
            between,
            "-" if each.limit is None else f"{each.limit:+g}",
            f"{each.of} {each.unit}",
            str(each.result),
        )
    screen.print(shown)
    for reason in report.reasons:
        screen.print(reason)
    if former:
        screen.print(f"{former} earlier reports of this candidate are kept: look at them too")
    screen.print(str(report.result) if file is None else f"{report.result}: {file}")


@contextmanager
def ends() -> Iterator[None]:
    """Turns expected errors into one line and an exit status."""
    from secondopinion import SecondOpinionError  # noqa: PLC0415 - as above

    from evaluation.errors import EvaluationError  # noqa: PLC0415
    from pipelines.load import SpecError  # noqa: PLC0415

    try:
        yield
    except (
        EvaluationError,
        ExpositionError,
        SecondOpinionError,
        SpecError,
        TrackingError,
    ) as error:
        sys.stderr.write(f"releases: {error}\n")
        raise typer.Exit(_CANNOT) from None
