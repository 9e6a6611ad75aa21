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
