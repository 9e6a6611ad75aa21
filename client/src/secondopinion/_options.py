"""Command-line options that several commands share."""

from typing import Annotated

import typer

from secondopinion._connection import URL_VARIABLE

Url = Annotated[
    str,
    typer.Option(envvar=URL_VARIABLE, metavar="URL", help="The service's base URL."),
]
PipelineName = Annotated[
    str | None,
    typer.Option("--pipeline", metavar="NAME", help="Default: the service's default pipeline."),
]
TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]
"""Forms of a time on the command line."""
