"""The command line of `python -m gateway`: without a command it serves."""

import getpass
import sys
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    # Local variables hold keys.
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _serve(
    context: typer.Context,
    hash_key: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Read an API key from the terminal or stdin, print its line for the keys file.",
        ),
    ] = "",
) -> None:
    """The gateway of Second Opinion. Without a command it serves HTTP and gRPC until it is told to
    stop; its settings are environment variables (README.md).
    """  # noqa: D205 - typer shows the whole text
    if hash_key:
        from gateway.identity import api_keys  # noqa: PLC0415 - as below

        key = getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline()
        try:
            typer.echo(api_keys.hash_key(hash_key, key.strip()))
        except api_keys.ApiKeysError as error:
            typer.echo(f"gateway: {error}", err=True)
            raise typer.Exit(2) from None
    elif context.invoked_subcommand is None:
        from gateway.commands.serve import serve  # noqa: PLC0415 - the web framework

        raise typer.Exit(serve())


def main() -> None:
    """Runs the command that the process's arguments name."""
    app(prog_name="python -m gateway")
