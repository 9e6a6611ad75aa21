"""The commands `python -m evaluation PIPELINE LABELS` and `python -m evaluation compare A B`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from secondopinion import SecondOpinionError

from evaluation.errors import EvaluationError
from evaluation.settings import EvaluationSettings

ROOT = Path(__file__).parents[1]
OK, SOME_FAILED, STOPPED, INTERRUPTED = 0, 1, 2, 130

_NOTICE = "No medical device: figures are for research and for learning."
_COMPARE = "Two runs side by side: python -m evaluation compare --help"

measure = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
compare = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

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
        Path,
        typer.Argument(
            help="Classification: a CSV (columns file, label) or a folder with a sub-folder for "
            "each class. Detection, segmentation: a COCO instances JSON."
        ),
    ],
    *,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="SECONDOPINION_URL",
            metavar="URL",
            help="The service; http://127.0.0.1:8080 if left out.",
        ),
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
) -> None:
    """Asks a running service about labelled photos, and says what its answers are worth.

    Ends with 0; with 1 if some photos failed (named, and in none of the figures);
    with 2 if nothing could be measured, or not compared; with 130 after Ctrl-C.
    """
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

        failed = run(settings, out, compare_with or [], common=common)
        raise typer.Exit(SOME_FAILED if failed else OK)


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
    except (EvaluationError, SecondOpinionError) as error:
        _say(str(error))
        raise typer.Exit(STOPPED) from None


def _say(line: str) -> None:
    notes = Console(stderr=True, highlight=False)
    notes.print(f"evaluation: {line}", style="red", markup=False, soft_wrap=True)
