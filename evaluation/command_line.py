"""The commands of `python -m evaluation`: measures, compares two runs, exports kept images."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from secondopinion import SecondOpinionError

from evaluation.errors import EvaluationError
from evaluation.settings import EvaluationSettings, FeedbackSettings
from tracking.server import MLFLOW_HELP, TrackingError, TrackingServer

ROOT = Path(__file__).parents[1]
OK, SOME_FAILED, STOPPED, INTERRUPTED = 0, 1, 2, 130

_NOTICE = "No medical device: figures are for research and for learning."
_COMPARE = (
    "Two runs side by side: python -m evaluation compare --help\n\n"
    "Kept images as a labelled set: python -m evaluation export-kept --help"
)

measure = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
compare = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
export_kept = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Url = Annotated[
    str | None,
    typer.Option(
        envvar="SECONDOPINION_URL",
        metavar="URL",
        help="The service; http://127.0.0.1:8080 if left out.",
    ),
]

Common = Annotated[
    bool,
    typer.Option(
        "--common", help="Where label sets differ: compare the photos that both runs share."
    ),
]


@measure.command(no_args_is_help=True, epilog=f"{_COMPARE}\n\n{_NOTICE}")
def _measure(
    pipeline: Annotated[str, typer.Argument(help="A pipeline of the service, e.g. oral_cancer.")],
    labels: Annotated[
        Path | None,
        typer.Argument(
            help="Classification: a CSV (columns file, label) or a folder with a sub-folder for "
            "each class. Detection, segmentation: a COCO instances JSON."
        ),
    ] = None,
    *,
    url: Url = None,
    from_feedback: Annotated[
        bool,
        typer.Option(
            "--from-feedback",
            help="Instead of LABELS: what people said of the service's answers, by release and "
            "site, and which answers that are.",
        ),
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(metavar="DATE", help="With --from-feedback: answers from then on, in UTC."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(metavar="DATE", help="With --from-feedback: answers before then, in UTC."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of a COCO file's photos, if not beside it."),
    ] = None,
    member: Annotated[
        str | None, typer.Option(metavar="NAME", help="Uses this member alone.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE",
            help="Decides instead of the pipeline's own; of a detector, where hits are counted.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A new folder for report.json and plot.png; evaluation-PIPELINE-RELEASE if left "
            "out.",
        ),
    ] = None,
    compare_with: Annotated[
        list[Path] | None,
        typer.Option(
            "--compare",
            metavar="REPORT",
            help="An earlier run's report.json to compare this run with; may be repeated.",
        ),
    ] = None,
    common: Common = False,
    other: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Images of other kinds, without labels: how many of them are called atypical.",
        ),
    ] = None,
    repository: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="The model repository, to refuse photos that the release's reference for "
            "typicality was made of.",
        ),
    ] = ROOT / "model_repository",
    concurrency: Annotated[
        int, typer.Option(min=1, max=64, help="Number of photos in flight at the same time.")
    ] = 4,
    mlflow: Annotated[str | None, typer.Option(metavar="URL", help=MLFLOW_HELP)] = None,
) -> None:
    """Asks a running service about labelled photos, and says what its answers are worth.

    Ends with 0; with 1 if some photos failed (named, and in none of the figures);
    with 2 if nothing could be measured, or not compared; with 130 after Ctrl-C.
    """
    if from_feedback:
        if labels is not None:
            raise typer.BadParameter("leave out --from-feedback or LABELS", param_hint="LABELS")
        if mlflow is not None:
            raise typer.BadParameter("goes with LABELS", param_hint="--mlflow")
        _measure_feedback(pipeline, url, since, until, out)
        return
    if labels is None:
        raise typer.BadParameter("give LABELS, or --from-feedback", param_hint="LABELS")
    if since is not None or until is not None:
        raise typer.BadParameter("go with --from-feedback", param_hint="--since, --until")
    settings = EvaluationSettings(
        pipeline=pipeline,
        labels=labels,
        images=images,
        url=url,
        member=member,
        threshold=threshold,
        concurrency=concurrency,
        other=other,
        repository=repository,
    )
    with _ends():
        from evaluation.run import run  # noqa: PLC0415 - the libraries of science: quick --help

        server = None if mlflow is None else TrackingServer.at(mlflow)
        failed = run(settings, out, compare_with or [], common=common, server=server)
        raise typer.Exit(SOME_FAILED if failed else OK)


def _measure_feedback(
    pipeline: str,
    url: str | None,
    since: datetime | None,
    until: datetime | None,
    out: Path | None,
) -> None:
    settings = FeedbackSettings(
        pipeline=pipeline, url=url, since=_in_utc(since), until=_in_utc(until)
    )
    with _ends():
        from evaluation.run import run_from_feedback  # noqa: PLC0415 - as below

        run_from_feedback(settings, out)


def _in_utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)


@export_kept.command(no_args_is_help=True, epilog=_NOTICE)
def _export_kept(
    pipeline: Annotated[str, typer.Argument(help="A pipeline of the service, e.g. oral_cancer.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the set.")],
    *,
    url: Url = None,
) -> None:
    """Writes the images that the service kept, with the labels of their feedback.

    `python -m evaluation PIPELINE DIR/labels.csv` reads them, of a detector DIR/labels.json. Ends
    with 0; with 1 if some images were deleted meanwhile; with 2 if there are none.
    """
    with _ends():
        from evaluation.run import run_export  # noqa: PLC0415 - as below

        raise typer.Exit(SOME_FAILED if run_export(pipeline, url, folder) else OK)


@compare.command(no_args_is_help=True, epilog=_NOTICE)
def _compare(
    first: Annotated[Path, typer.Argument(help="report.json of the first run, the baseline.")],
    second: Annotated[Path, typer.Argument(help="report.json of the run to compare with it.")],
    *,
    common: Common = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Prints the comparison as JSON, for programs.")
    ] = False,
) -> None:
    """Puts two runs over the same photos side by side: a stronger model against the current one."""
    with _ends():
        from evaluation import report  # noqa: PLC0415 - as above
        from evaluation.compare import compare as compared  # noqa: PLC0415
        from evaluation.tables import comparison as comparison_table  # noqa: PLC0415

        comparison = compared(report.read(first), report.read(second), common=common)
        if as_json:
            typer.echo(comparison.model_dump_json(indent=2))
        else:
            Console(highlight=False).print(comparison_table.render(comparison))


def main(arguments: list[str]) -> None:
    """Runs the command that the arguments name; always ends with SystemExit."""
    if arguments[:1] == ["compare"]:
        compare(arguments[1:], prog_name="python -m evaluation compare")
    elif arguments[:1] == ["export-kept"]:
        export_kept(arguments[1:], prog_name="python -m evaluation export-kept")
    else:
        measure(arguments, prog_name="python -m evaluation")


@contextmanager
def _ends() -> Iterator[None]:
    """Turns expected errors into one line and an exit status."""
    try:
        yield
    except KeyboardInterrupt:
        _say("stopped; a folder is only left where it is complete")
        raise typer.Exit(INTERRUPTED) from None
    except (EvaluationError, SecondOpinionError, TrackingError) as error:
        _say(str(error))
        raise typer.Exit(STOPPED) from None


def _say(line: str) -> None:
    notes = Console(stderr=True, highlight=False)
    notes.print(f"evaluation: {line}", style="red", markup=False, soft_wrap=True)
