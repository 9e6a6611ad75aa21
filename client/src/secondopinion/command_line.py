"""The command line `secondopinion`: its commands and its options."""

from typing import Annotated

import typer

from secondopinion import __version__
from secondopinion._catalogue import PipelineMember
from secondopinion._client import Client
from secondopinion._command_audit import audit, prediction
from secondopinion._command_feedback import feedback
from secondopinion._command_predict import NOTICE, predict
from secondopinion._command_usage import usage
from secondopinion._connection import DEFAULT_URL, KEY_VARIABLE, TOKEN_VARIABLE
from secondopinion._errors import SecondOpinionError
from secondopinion._exit_codes import OK, SOME_FAILED, stopped
from secondopinion._options import PipelineName, Url
from secondopinion._retries import Retries
from secondopinion._table import output, show

app = typer.Typer(
    help=f"Asks a Second Opinion service about photos.\n\n{NOTICE}",
    epilog=f"An API key or a token is read from the environment: {KEY_VARIABLE}, {TOKEN_VARIABLE}.",
    no_args_is_help=True,
    add_completion=False,
    # Local variables hold the API key.
    pretty_exceptions_show_locals=False,
)


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
    """Carries --version; the help is the app's."""


app.command(epilog=NOTICE)(predict)
app.command()(feedback)
app.command()(usage)
app.command()(prediction)
app.command()(audit)


@app.command()
def pipelines(url: Url = DEFAULT_URL) -> None:
    """Lists the pipelines of the service."""
    try:
        with Client(url, retries=Retries(attempts=1)) as client:
            offered = client.pipelines()
    except (SecondOpinionError, ValueError) as error:
        raise stopped(error) from error
    rows = [
        [
            f"{pipeline.name} (default)" if pipeline.name == offered.default else pipeline.name,
            pipeline.task,
            "ready" if pipeline.ready else "not ready",
            f"{pipeline.threshold.default:g}" if pipeline.threshold else "",
            ", ".join(pipeline.classes),
            ", ".join(_member(name, member) for name, member in pipeline.members.items()),
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
        raise stopped(error) from error
    typer.echo("ready" if is_ready else "not ready")
    raise typer.Exit(OK if is_ready else SOME_FAILED)


def _member(name: str, member: PipelineMember) -> str:
    """Its name, and what sets it apart."""
    on_request = "on request" if member.weight == 0 else None
    precision = None if member.precision == name else member.precision
    about = ", ".join(filter(None, (precision, on_request)))
    return f"{name} ({about})" if about else name
