"""`python -m loadtest run`: runs the users of `locustfile.py` against a running service."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadtest.budgets import BUDGETS
from loadtest.errors import LoadtestError
from loadtest.photos import SAMPLES
from loadtest.target import gateway_grpc, gateway_http, refuse_remote
from pipelines.protocol import DEFAULT_PIPELINE

ROOT = Path(__file__).parents[1]
app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
_console = Console(stderr=True, highlight=False, soft_wrap=True)
_CANNOT = 2


@app.callback()
def _commands() -> None:
    """With a callback, `run` stays a word of the command line."""


@app.command()
def run(  # noqa: PLR0917 - typer's options
    url: Annotated[
        str,
        typer.Option(
            envvar="LOADTEST_URL", help="The gateway; left out: 127.0.0.1, port GATEWAY_PORT."
        ),
    ] = "",
    grpc: Annotated[
        str,
        typer.Option(
            envvar="LOADTEST_GRPC",
            help="That gateway's gRPC; left out: 127.0.0.1, port GATEWAY_GRPC_PORT.",
        ),
    ] = "",
    pipeline: Annotated[
        str, typer.Option(envvar="LOADTEST_PIPELINE", help="The pipeline.")
    ] = DEFAULT_PIPELINE,
    photos: Annotated[
        Path, typer.Option(envvar="LOADTEST_PHOTOS", help="Folder of images to send.")
    ] = SAMPLES,
    budgets: Annotated[
        Path, typer.Option(envvar="LOADTEST_BUDGETS", help="The budgets' YAML.")
    ] = BUDGETS,
    out: Annotated[
        Path, typer.Option(envvar="LOADTEST_OUT", help="Folder for the results.")
    ] = Path("loadtest-results"),
    api_key: Annotated[
        str, typer.Option(envvar="LOADTEST_API_KEY", help="The API key, if the gateway needs one.")
    ] = "",
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Load a service that is not on this machine.")
    ] = False,
    seconds: Annotated[
        int, typer.Option(envvar="LOADTEST_SECONDS", min=1, help="How long users send.")
    ] = 120,
    users: Annotated[
        int, typer.Option(envvar="LOADTEST_USERS", min=1, help="How many; all kinds alike.")
    ] = 5,
    studies: Annotated[
        int, typer.Option(envvar="LOADTEST_STUDIES", min=1, help="Ends after so many studies.")
    ] = 5000,
    rate: Annotated[
        float,
        typer.Option(envvar="LOADTEST_RATE", min=0, help="Studies/s of each open loop; 0: chosen."),
    ] = 0,
    kinds: Annotated[
        list[str] | None, typer.Argument(help="Classes of users; all if left out.")
    ] = None,
) -> None:
    """Lets users send for a while, and fails (1) where a budget is broken.

    Writes loadtest.html, loadtest_*.csv and summary.json.
    """
    url = url.rstrip("/") or gateway_http()
    try:
        if not allow_remote:
            refuse_remote(url)
        out.mkdir(parents=True, exist_ok=True)
    except LoadtestError as error:
        _console.print(f"error: {error}", markup=False)
        raise typer.Exit(_CANNOT) from None
    except OSError as error:
        _console.print(f"error: {out}: {error.strerror}; name a folder with --out", markup=False)
        raise typer.Exit(_CANNOT) from None
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py")]
    command += ["--headless", "--only-summary", "--loglevel", "WARNING"]
    command += ["--host", url, "--grpc", grpc or gateway_grpc(), "--pipeline", pipeline]
    command += ["--run-time", f"{seconds}s", "--users", str(users), "--spawn-rate", str(users)]
    command += ["--studies", str(studies), "--rate", str(rate), "--photos", str(photos)]
    command += ["--budgets", str(budgets), "--summary", str(out / "summary.json")]
    command += ["--csv", str(out / "loadtest"), "--html", str(out / "loadtest.html")]
    command += ["--allow-remote"] if allow_remote else []
    raise typer.Exit(_wait(command + (kinds or []), api_key))


def _wait(command: list[str], api_key: str) -> int:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LOADTEST_API_KEY": api_key}
    process = subprocess.Popen(command, env=environment)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # It was interrupted as well: it lets what is under way finish, and judges.
            continue


if __name__ == "__main__":
    app()
