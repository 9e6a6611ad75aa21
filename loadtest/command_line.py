"""`python -m loadtest run` and `python -m loadtest overload`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab.overload.run import overload as run_overload
from loadtest.budgets import BUDGETS, read_budgets
from loadtest.errors import LoadtestError
from loadtest.local_service import ROOT, LocalService, local_service
from loadtest.photos import SAMPLES
from loadtest.target import Target, gateway_grpc, refuse_remote
from pipelines.protocol import DEFAULT_PIPELINE

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
_console = Console(stderr=True, highlight=False, soft_wrap=True)
_CANNOT = 2

Url = Annotated[
    str, typer.Option(envvar="LOADTEST_URL", help="A running gateway; one is started if left out.")
]
Grpc = Annotated[
    str,
    typer.Option(
        envvar="LOADTEST_GRPC",
        help="That gateway's gRPC; left out: 127.0.0.1, port GATEWAY_GRPC_PORT.",
    ),
]
Pipeline = Annotated[str, typer.Option(envvar="LOADTEST_PIPELINE", help="What is asked.")]
Repository = Annotated[
    Path, typer.Option(help="Model repository of the service that is started.", file_okay=False)
]
Photos = Annotated[Path, typer.Option(envvar="LOADTEST_PHOTOS", help="Folder of images to send.")]
BudgetsFile = Annotated[Path, typer.Option(envvar="LOADTEST_BUDGETS", help="The budgets' YAML.")]
Out = Annotated[Path, typer.Option(envvar="LOADTEST_OUT", help="Folder for the results.")]
Remote = Annotated[
    bool, typer.Option("--allow-remote", help="Load a service that is not on this machine.")
]
ApiKey = Annotated[str, typer.Option(envvar="LOADTEST_API_KEY", help="If the gateway wants one.")]
_OUT, _REPOSITORY = Path("loadtest-results"), ROOT / "model_repository"


@app.command()
def run(  # noqa: PLR0917 - typer's options
    url: Url = "",
    grpc: Grpc = "",
    pipeline: Pipeline = DEFAULT_PIPELINE,
    repository: Repository = _REPOSITORY,
    photos: Photos = SAMPLES,
    budgets: BudgetsFile = BUDGETS,
    out: Out = _OUT,
    api_key: ApiKey = "",
    allow_remote: Remote = False,
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

    Writes loadtest.html, loadtest_*.csv, summary.json and the service's log.
    """
    with (
        _errors(),
        _service(url, grpc, pipeline, repository, out, allow_remote=allow_remote) as service,
    ):
        command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py")]
        command += ["--headless", "--only-summary", "--loglevel", "WARNING"]
        command += ["--host", service.url, "--grpc", service.grpc, "--pipeline", pipeline]
        command += ["--run-time", f"{seconds}s", "--users", str(users), "--spawn-rate", str(users)]
        command += ["--studies", str(studies), "--rate", str(rate), "--photos", str(photos)]
        command += ["--budgets", str(budgets), "--summary", str(out / "summary.json")]
        command += ["--csv", str(out / "loadtest"), "--html", str(out / "loadtest.html")]
        command += ["--allow-remote"] if allow_remote else []
        status = _wait(command + (kinds or []), api_key)
    raise typer.Exit(status)


@app.command()
def overload(  # noqa: PLR0917 - typer's options
    url: Url = "",
    pipeline: Pipeline = DEFAULT_PIPELINE,
    repository: Repository = _REPOSITORY,
    photos: Photos = SAMPLES,
    budgets: BudgetsFile = BUDGETS,
    out: Out = _OUT,
    api_key: ApiKey = "",
    seconds: Annotated[
        float, typer.Option(envvar="OVERLOAD_SECONDS", min=5, help="How long the overload lasts.")
    ] = 120,
    step_seconds: Annotated[
        float, typer.Option(envvar="OVERLOAD_STEP_SECONDS", min=2, help="And each step before it.")
    ] = 20,
    docs: Annotated[
        Path | None,
        typer.Option(envvar="OVERLOAD_DOCS", help="Also write the table into this document."),
    ] = None,
) -> None:
    """Finds the capacity, sends three times as much, and fails (1) where a budget is broken.

    Writes overload.json, overload.png and the service's log. Only for a service of this machine.
    GATEWAY_* in the environment reach the service that is started.
    """
    with _errors(), _service(url, "", pipeline, repository, out, allow_remote=False) as service:
        held = run_overload(
            Target(service.url, service.grpc, pipeline, api_key or None),
            service.pid,
            photos=photos,
            budget=read_budgets(budgets).overload,
            seconds=seconds,
            step_seconds=step_seconds,
            out=out,
            docs=docs,
            console=_console,
        )
    raise typer.Exit(0 if held else 1)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except LoadtestError as error:
        for line in str(error).splitlines():
            _console.print(f"error: {line}", markup=False)
        raise typer.Exit(_CANNOT) from None


@contextmanager
def _service(
    url: str, grpc: str, pipeline: str, repository: Path, out: Path, *, allow_remote: bool
) -> Iterator[LocalService]:
    if url and not allow_remote:
        refuse_remote(url)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LoadtestError(f"{out}: {error.strerror}; name a folder with --out") from error
    if url:
        yield LocalService(url.rstrip("/"), grpc or gateway_grpc(), None)
        return
    _console.print(f"loadtest: starting a service of {pipeline}")
    with local_service(pipeline, repository, out / "service.log") as service:
        yield service


def _wait(command: list[str], api_key: str) -> int:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LOADTEST_API_KEY": api_key}
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # It was interrupted as well: it lets what is under way finish, and judges.
            continue
