"""The commands' exit codes, and how a command ends with an error message."""

import typer
from rich.console import Console

from secondopinion._connection import KEY_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE
from secondopinion._errors import ForbiddenError, UnauthorizedError, UnreachableError
from secondopinion._table import printable

OK, SOME_FAILED, STOPPED, INTERRUPTED = 0, 1, 2, 130


def stopped(error: Exception) -> typer.Exit:
    """Prints the error and its remedy; returns what to raise."""
    notes = Console(stderr=True, highlight=False)
    remedy = ""
    if isinstance(error, UnreachableError):
        remedy = f"Start the service with `make serve`, or name another: --url or {URL_VARIABLE}."
    elif isinstance(error, UnauthorizedError):
        remedy = f"Put a key of this service into {KEY_VARIABLE}, or a token into {TOKEN_VARIABLE}."
    elif isinstance(error, ForbiddenError):
        remedy = "Ask the service's operator for a key that covers it."
    for line in filter(None, (f"secondopinion: {error}", remedy)):
        notes.print(printable(line, notes), markup=False, soft_wrap=True)
    return typer.Exit(STOPPED)
