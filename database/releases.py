"""The changes of releases in the database: read, and added one at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, insert, select
from sqlalchemy.exc import IntegrityError

from database.clock import now
from database.engine import reading
from database.tables import predictions
from database.tables import release_changes as table
from pipelines.release_changes import Action, Change, ChangeRefusedError
from pipelines.release_state import ReleaseState

_LIMIT = 1000
_MOST_EVIDENCE = 2000
"""Characters."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the history."""

    at: int
    """Microseconds since 1970."""
    action: str
    release: str
    """The one that the action is about."""
    state: ReleaseState
    """From then on."""
    by: str
    evidence: str | None


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, and what it rests on."""

    name: str
    evidence: str | None = None


def states(connection: Connection) -> list[ReleaseState]:
    """The state of every pipeline and profile that has any, by name."""
    newer = table.alias()
    later = (
        select(newer.c.revision)
        .where(
            newer.c.pipeline == table.c.pipeline,
            newer.c.profile == table.c.profile,
            newer.c.revision > table.c.revision,
        )
        .exists()
    )
    found = select(table).where(~later).order_by(table.c.pipeline, table.c.profile)
    return [_state(row) for row in connection.execute(found)]


def states_in(engine: Engine) -> list[ReleaseState]:
    """The states in a database, which is asked once."""
    with reading(engine).connect() as connection:
        return states(connection)


def state_of(connection: Connection, pipeline: str, profile: str) -> ReleaseState | None:
    """The state of a pipeline under a profile; None where nothing was ever changed."""
    row = connection.execute(_newest_first(pipeline, profile).limit(1)).first()
    return None if row is None else _state(row)


def entries(
    connection: Connection, pipeline: str, profile: str, *, until: int | None = None
) -> list[Entry]:
    """The history of a pipeline under a profile, the newest first, at most 1000 rows.

    Args:
        connection: of the database.
        pipeline: its name.
        profile: the profile's name.
        until: microseconds since 1970; rows of later are left out. The first row then says what
            served at that time.
    """
    chosen = _newest_first(pipeline, profile).limit(_LIMIT)
    if until is not None:
        chosen = chosen.where(table.c.at <= until)
    return [
        Entry(row.at, row.action, row.release, _state(row), row.by, row.evidence)
        for row in connection.execute(chosen)
    ]


def named_by_rows(connection: Connection, pipeline: str) -> set[str]:
    """The releases of a pipeline that a row of the audit log names.

    Feedback and kept images name theirs by such a row.
    """
    named = predictions.c.release
    chosen = select(named).where(predictions.c.pipeline == pipeline, named.is_not(None)).distinct()
    return set(connection.scalars(chosen))


def is_named(connection: Connection, pipeline: str, release: str) -> bool:
    """Whether a row of the audit log names a release."""
    chosen = select(predictions.c.id).where(
        predictions.c.pipeline == pipeline, predictions.c.release == release
    )
    return connection.scalar(chosen.limit(1)) is not None


def apply(
    connection: Connection,
    action: Action,
    change: Change,
    *,
    first: Callable[[], ReleaseState],
    pipeline: str,
    profile: str,
    author: Author,
) -> ReleaseState:
    """Makes a change in the connection's transaction; returns the state after it.

    Args:
        connection: in a transaction, which is to be committed.
        action: what the history says of it.
        change: what it is.
        first: gives the state before the first change, which the history begins with.
        pipeline: its name.
        profile: the profile's name.
        author: who makes it.

    Raises:
        ChangeRefusedError: it may not be made now, or somebody else made one at the same time.
    """
    evidence = author.evidence
    if evidence is not None and len(evidence) > _MOST_EVIDENCE:
        raise ChangeRefusedError(f"evidence: it has more than {_MOST_EVIDENCE} characters")
    state = state_of(connection, pipeline, profile)
    rows = []
    if state is None:
        state = first()
        rows.append(_row(Action.BEGIN, state.current, state, Author(author.name)))
    about, after = change(state)
    rows.append(_row(action, about, after, author))
    try:
        with connection.begin_nested():
            connection.execute(insert(table), rows)
    except IntegrityError:
        raise ChangeRefusedError(
            "somebody else changed the releases of the pipeline at the same time: look again"
        ) from None
    return after


def _newest_first(pipeline: str, profile: str) -> Select[Any]:
    own = table.c.pipeline == pipeline, table.c.profile == profile
    return select(table).where(*own).order_by(table.c.revision.desc())


def _row(action: Action, release: str, state: ReleaseState, author: Author) -> dict[str, Any]:
    said = {"action": str(action), "release": release, "evidence": author.evidence}
    return {**state.model_dump(), **said, "at": now(), "by": author.name}


def _state(row: Row[Any]) -> ReleaseState:
    return ReleaseState(**{name: getattr(row, name) for name in ReleaseState.model_fields})
