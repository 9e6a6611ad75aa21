"""`python -m lab.service -- COMMAND`: starts the service, runs a command against it, stops it."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from lab.errors import LabError
from lab.options import MODEL_REPOSITORY, Repository
from lab.paths import CACHE
from lab.service.ports import port_variables
from lab.service.service import Service
from pipelines.load import SpecError, load_spec
from pipelines.profile import DEFAULT_PROFILE
from pipelines.protocol import DEFAULT_PIPELINE

_CANNOT = 2


def main(
    command: Annotated[list[str], typer.Argument(help="A program and its arguments, after `--`.")],
    pipelines: Annotated[
        str, typer.Option(help="Pipelines to serve, comma-separated.")
    ] = DEFAULT_PIPELINE,
    profile: Annotated[str, typer.Option(help="The profile to serve.")] = DEFAULT_PROFILE,
    repository: Repository = MODEL_REPOSITORY,
    log: Annotated[Path, typer.Option(help="Takes what the service prints.")] = CACHE
    / "logs"
    / "service.log",
) -> None:
    """Serves pipelines on free ports for as long as a command runs; exits with its status.

    The command finds the service by GATEWAY_PORT, GATEWAY_GRPC_PORT and so on in its environment,
    where all programs of this project look. Ctrl-C is left to the command.
    """
    names = pipelines.split(",")
    signal.signal(signal.SIGTERM, _terminated)
    try:
        for name in names:
            load_spec(name, profile=profile)
        sys.stderr.write(f"starting a service of {', '.join(names)}; its log: {log}\n")
        with Service(names, repository.absolute(), log=log, profile=profile) as service:
            environment = os.environ | port_variables(service.ports)
            raise typer.Exit(_run(command, environment))
    except (LabError, SpecError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        raise typer.Exit(_CANNOT) from None


def _run(command: list[str], environment: dict[str, str]) -> int:
    process = subprocess.Popen(command, env=environment)
    try:
        while True:
            # On Ctrl-C, the terminal interrupts the command as well, which decides what to do.
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()
    finally:
        process.terminate()
        process.wait()


def _terminated(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    typer.run(main)
