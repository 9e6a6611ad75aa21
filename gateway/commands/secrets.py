"""`python -m gateway secrets init`: makes the files of secrets for the gateways of a database."""

import typer

app = typer.Typer(no_args_is_help=True, help="The pepper of API keys, and the gateway's own keys.")


@app.callback()
def _commands() -> None:
    """Makes `init` a word of its own, also while it is the only command."""


@app.command()
def init() -> None:
    """Makes those files in GATEWAY_SECRETS_DIR that are not there yet; the others stay."""
    from gateway.commands import setup  # noqa: PLC0415 - cryptography: quick --help
    from gateway.settings import Settings  # noqa: PLC0415

    with setup.stops_on_errors():
        settings = Settings()
        made = setup.secret_files(settings).make()
    for path in made:
        typer.echo(f"{path}: made. Keep a copy apart from the database's")
    if not made:
        typer.echo(f"{settings.secrets_dir}: all secrets are there")
