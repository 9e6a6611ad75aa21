"""The command `secondopinion`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from secondopinion import __version__
from secondopinion._calls import Choices
from secondopinion._client import Client
from secondopinion._connection import DEFAULT_URL, KEY_VARIABLE, URL_VARIABLE
from secondopinion._errors import SecondOpinionError, UnauthorizedError, UnreachableError
from secondopinion._photos import find
from secondopinion._retries import Retries
from secondopinion._run import Question, run
from secondopinion._table import output, printable, show

OK, SOME_FAILED, STOPPED = 0, 1, 2

NOTICE = "No medical device: answers are for research and for learning, never for a diagnosis."

app = typer.Typer(
    help=f"Asks a Second Opinion service about photos.\n\n{NOTICE}",
    epilog=f"An API key is read from the environment: {KEY_VARIABLE}.",
    no_args_is_help=True,
    add_completion=False,
    # Local variables hold the API key.
    pretty_exceptions_show_locals=False,
)

Url = Annotated[
    str,
    typer.Option(envvar=URL_VARIABLE, metavar="URL", help="The service's base URL."),
]
PipelineName = Annotated[
    str | None, typer.Option("--pipeline", metavar="NAME", help="Else the service's default.")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"secondopinion {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Only here to carry --version; the help is the app's."""


@app.command(epilog=NOTICE)
def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PHOTO|DIR...", help="Directories are searched recursively."),
    ],
    *,
    url: Url = DEFAULT_URL,
    pipeline: PipelineName = None,
    advanced: Annotated[
        bool, typer.Option("--advanced", help="Adds uncertainty and each member's opinion.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Prints one JSON object per photo and line.")
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(help="Score from which a binary pipeline says positive.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", min=1, help="Classes a multi-class pipeline names.")
    ] = None,
    member: Annotated[
        str | None, typer.Option(metavar="NAME", help="Asks this member alone.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=64, help="Photos on their way at the same time.")
    ] = 4,
) -> None:
    """Asks about photos, and prints a table or JSON lines.

    Ends with 0 if all were answered, 1 if some failed, 2 if the service cannot be reached or the
    question is wrong, 130 after Ctrl-C.
    """
    try:
        photos = find(paths)
    except OSError as error:
        raise typer.BadParameter(str(error), param_hint="PHOTO|DIR") from error
    choices: Choices = {
        "pipeline": pipeline,
        "threshold": threshold,
        "top_k": top_k,
        "member": member,
    }
    question = Question(url=url, advanced=advanced, choices=choices, concurrency=concurrency)
    notes = Console(stderr=True, highlight=False)
    try:
        failed = run(question, photos, as_json=as_json, notes=notes)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (SecondOpinionError, ValueError) as error:
        raise _stopped(error) from error
    raise typer.Exit(SOME_FAILED if failed else OK)


@app.command()
def pipelines(url: Url = DEFAULT_URL) -> None:
    """Lists the pipelines of the service."""
    try:
        with Client(url, retries=Retries(attempts=1)) as client:
            offered = client.pipelines()
    except (SecondOpinionError, ValueError) as error:
        raise _stopped(error) from error
    rows = [
        [
            f"{pipeline.name} (default)" if pipeline.name == offered.default else pipeline.name,
            pipeline.task,
            "ready" if pipeline.ready else "not ready",
            f"{pipeline.threshold.default:g}" if pipeline.threshold else "",
            ", ".join(pipeline.classes),
            ", ".join(pipeline.members),
            pipeline.weights or "",
        ]
        for pipeline in offered
    ]
    header = ["pipeline", "task", "state", "threshold", "classes", "members", "weights"]
    show(header, rows, output())


@app.command()
def ready(url: Url = DEFAULT_URL, pipeline: PipelineName = None) -> None:
    """Says whether predictions are answered now; ends with 0 if so, with 1 if not."""
    try:
        with Client(url) as client:
            is_ready = client.ready(pipeline)
    except (SecondOpinionError, ValueError) as error:
        raise _stopped(error) from error
    typer.echo("ready" if is_ready else "not ready")
    raise typer.Exit(OK if is_ready else SOME_FAILED)


def _stopped(error: Exception) -> typer.Exit:
    """Says why nothing more can be asked, and what to do about it."""
    notes = Console(stderr=True, highlight=False)
    remedy = ""
    if isinstance(error, UnreachableError):
        remedy = f"Start the service with `make serve`, or name another: --url or {URL_VARIABLE}."
    elif isinstance(error, UnauthorizedError):
        remedy = f"Put a key of this service into {KEY_VARIABLE}."
    for line in filter(None, (f"secondopinion: {error}", remedy)):
        notes.print(printable(line, notes), markup=False, soft_wrap=True)
    return typer.Exit(STOPPED)
