"""The command line of `python -m gateway`: without a command it serves."""

import typer

from gateway.commands import audit, images, keys, recall, secrets, usage

app = typer.Typer(
    add_completion=False,
    # Local variables hold keys.
    pretty_exceptions_enable=False,
)
app.add_typer(images.app, name="images")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(secrets.app, name="secrets")
app.add_typer(usage.app, name="usage")
app.command()(recall.recall)


@app.callback(invoke_without_command=True)
def _serve(context: typer.Context) -> None:
    """The gateway of Second Opinion. Without a command it serves HTTP and gRPC until it is told to
    stop. Settings are environment variables (README.md).
    """  # noqa: D205 - typer shows the whole text
    if context.invoked_subcommand is None:
        from gateway.commands.serve import serve  # noqa: PLC0415 - the web framework

        serve()


def main() -> None:
    """Runs the command that the process's arguments name."""
    app(prog_name="python -m gateway")
