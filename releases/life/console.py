"""What the commands share: options, the database, errors as messages, and what is printed."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pipelines.release_state import ReleaseState

REFUSED, WRONG = 1, 2
"""Exit status of a change that may not be made, and of a command that cannot be done at all."""
REPOSITORY = Path(__file__).parents[2] / "model_repository"

Pipeline = Annotated[str, typer.Argument(metavar="PIPELINE")]
ReleaseArgument = Annotated[str, typer.Argument(metavar="RELEASE", help="Its id, as `list` says.")]
IfCandidate = Annotated[
    str | None, typer.Option(metavar="RELEASE", help="Only where it is the candidate.")
]
Repository = Annotated[
    Path, typer.Option(help="Triton's model repository.", exists=True, file_okay=False)
]
Profile = Annotated[str, typer.Option(metavar="NAME", help="A profile of the pipeline's YAML.")]
By = Annotated[
    str, typer.Option(metavar="NAME", help="Who does it, for the history. Left out: the user.")
]
Evidence = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="What it rests on, for the history: no patient's data."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def sentence(state: "ReleaseState") -> str:
    """Which releases are loaded, and whom the candidate answers."""
    from pipelines.release_changes import percent  # noqa: PLC0415 - quick --help

    text = f"{state.pipeline}, profile {state.profile}: current {state.current}"
    if state.candidate:
        text += f"; candidate {state.candidate}, answers {share(state, state.candidate)} %"
        if state.shadow:
            text += f", gets copies of {percent(state.shadow)} % of the images"
    if state.former:
        text += f"; former {state.former}"
    return text


def share(state: "ReleaseState | None", release: str | None) -> float | None:
    """Percent of the callers; None of a release that is not loaded."""
    from pipelines.release_state import BUCKETS  # noqa: PLC0415 - as above

    if state is None or release is None or release not in state.loaded:
        return None
    shares = {state.current: BUCKETS - state.share, state.candidate: state.share}
    return shares.get(release, 0) * 100 / BUCKETS


@contextmanager
def database(*, there: bool = False) -> "Iterator[Engine]":
    """The database, whose schema is this version's; with `there` none is made.

    Raises:
        DatabaseError: it cannot be used.
    """
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - as above

    from database.engine import (  # noqa: PLC0415
        open_engine,
        require_schema,
        require_there,
        unusable,
    )
    from database.settings import DatabaseSettings  # noqa: PLC0415

    engine = open_engine(DatabaseSettings().database_url)
    try:
        if there:
            require_there(engine)
        require_schema(engine)
        yield engine
    except SQLAlchemyError as error:
        raise unusable(engine, error) from None
    finally:
        engine.dispose()


@contextmanager
def stops_on_errors() -> Iterator[None]:
    """Ends the process with a message where a change is refused, or what it needs is not usable."""
    from pydantic import ValidationError  # noqa: PLC0415 - as above

    from database.engine import DatabaseError  # noqa: PLC0415
    from pipelines.release import ReleaseError  # noqa: PLC0415
    from pipelines.release_changes import ChangeRefusedError  # noqa: PLC0415

    try:
        yield
    except (ChangeRefusedError, ReleaseError) as error:
        stop(str(error), REFUSED)
    except ValidationError as error:
        stop(error.errors()[0]["msg"].removeprefix("Value error, "), WRONG)
    except DatabaseError as error:
        stop(str(error), WRONG)
    except OSError as error:
        stop(f"{error.filename}: {error.strerror}", WRONG)


def stop(message: str, status: int) -> NoReturn:
    """Ends the process with a message."""
    sys.stderr.write(f"releases: {message}\n")
    raise typer.Exit(status)


def rfc3339(seconds: float) -> str:
    """In UTC, as RFC 3339 has it, to the microsecond: `history --at` takes what `history` says."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")


def print_json(document: Any) -> None:  # noqa: ANN401 - any JSON
    """Prints a document."""
    typer.echo(json.dumps(document, indent=2))


def print_table(rows: list[dict[str, Any]]) -> None:
    """Prints rows that have the same keys, which are the titles."""
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415

    table = Table(*rows[0], box=None) if rows else Table(box=None)
    for row in rows:
        table.add_row(*("-" if cell is None else str(cell) for cell in row.values()))
    Console(width=None if Console().is_terminal else 250, markup=False).print(table)
