"""`python -m gateway usage`: checks the sums by the hour against the audit log's rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from database.usage import Sums

app = typer.Typer(no_args_is_help=True, help="Sums over the audit log, by the hour.")

_SHOWN = 20
_DIFFERENT = 1


@app.command()
def check() -> None:
    """Compares the sums with the rows; ends with 1 where they differ.

    Hours of which retention has removed rows cannot be checked.
    """
    from database import usage  # noqa: PLC0415 - the database: quick --help

    with _database() as engine:
        usage.refresh(engine)
        differences = usage.check(engine)
    for each in differences[:_SHOWN]:
        where = " ".join(str(part) for part in each.key if part != "")
        typer.echo(f"{where}: {_text(each.rolled_up)}, but its rows {_text(each.of_rows)}")
    if differences:
        typer.echo(f"{len(differences)} sums differ: run `python -m gateway usage rebuild`")
        raise typer.Exit(_DIFFERENT)
    typer.echo("all sums are those of the rows")


@app.command()
def rebuild() -> None:
    """Makes the sums anew from the rows; hours of which rows were removed stay."""
    from database import usage  # noqa: PLC0415 - the database: quick --help

    with _database() as engine:
        typer.echo(f"made anew from {usage.rebuild(engine)} rows")


def _text(sums: "Sums") -> str:
    return f"{sums.images} images, {sums.cpu_seconds:.3f} s CPU, {sums.gpu_seconds:.3f} s GPU"


@contextmanager
def _database() -> "Iterator[Engine]":
    """The database at GATEWAY_DATABASE_URL, with its schema up to date."""
    from gateway.commands import setup  # noqa: PLC0415 - the database: quick --help
    from gateway.settings import Settings  # noqa: PLC0415

    with setup.stops_on_errors(), setup.opened_database(Settings()) as engine:
        yield engine
