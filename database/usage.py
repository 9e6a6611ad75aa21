"""Usage by the hour: images and compute seconds, rolled up from the rows of the audit log.

A cursor for each chain says how far its rows are in: positions have no gaps, and a chain's rows are
committed in their order. A roll-up and its cursor move in one transaction, so each row counts
once, whoever rolls up and whenever (docs/decisions/0069).
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from enum import StrEnum
from math import isclose
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection, Engine, delete, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from database.chain import Statement
from database.engine import reading
from database.tables import chains, checkpoints, predictions, usage_cursors, usage_hours

HOUR = 3_600_000_000
"""Microseconds."""
PREDICTION = "prediction"
"""The audit log's event that is an image."""
OK = "ok"
"""The outcome of an image that was answered; of others it is the problem's code."""
_AT_ONCE = 2000
"""Rows that are read before they are rolled up: their sums are written in one transaction."""
_TOLERANCE = 1e-6
"""Of sums of seconds, relative: they are added up in different orders."""
_UNKNOWN = ""
_Row: TypeAlias = Any
"""Of the audit log, with the columns that are read."""


class Dimension(StrEnum):
    """What usage can be told apart by."""

    HOUR = "hour"
    CALLER = "caller"  # the principal's id, which a rotated key keeps
    NAME = "name"  # the owner
    PIPELINE = "pipeline"
    RELEASE = "release"
    FORMAT = "format"
    OUTCOME = "outcome"
    LEVEL = "level"  # of uncertainty


class Key(NamedTuple):
    """What the images of one roll-up have in common; "" where there is none."""

    hour: int
    """Hours since 1970, UTC."""
    caller: str
    name: str
    pipeline: str
    release: str
    format: str
    outcome: str
    level: str


@dataclass
class Sums:
    """What is added up over images."""

    images: int = 0
    bytes: int = 0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    estimated_seconds: float = 0.0
    """Of the two, those that are estimates."""

    def __iadd__(self, other: "Sums") -> "Sums":
        self.images += other.images
        self.bytes += other.bytes
        self.cpu_seconds += other.cpu_seconds
        self.gpu_seconds += other.gpu_seconds
        self.estimated_seconds += other.estimated_seconds
        return self

    def equals(self, other: "Sums") -> bool:
        """Whether they are the same, but for the order in which seconds were added up."""
        return (self.images, self.bytes) == (other.images, other.bytes) and all(
            isclose(mine, theirs, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
            for mine, theirs in zip(astuple(self)[2:], astuple(other)[2:], strict=True)
        )


@dataclass(frozen=True)
class Difference:
    """A roll-up that its rows do not give."""

    key: Key
    rolled_up: Sums
    of_rows: Sums


_READ = (
    predictions.c.chain,
    predictions.c.position,
    predictions.c.at,
    predictions.c.event,
    predictions.c.principal_id,
    predictions.c.tenant,
    predictions.c.pipeline,
    predictions.c.release,
    predictions.c.input_format,
    predictions.c.input_bytes,
    predictions.c.refusal,
    predictions.c.result,
    predictions.c.compute,
)
_SUMS = tuple(usage_hours.c[name] for name in Sums.__dataclass_fields__)
_KEYS = tuple(usage_hours.c[name] for name in Key._fields)


def refresh(engine: Engine) -> int:
    """Rolls up the rows that came since the last time; says how many.

    Several may do so at the same time: each row is counted by one of them.
    """
    rolled_up = 0
    while behind := _behind(engine):
        for chain, position in behind:
            rolled_up += _advance(engine, chain, position)
    return rolled_up


def totals(
    engine: Engine,
    by: Sequence[Dimension],
    *,
    since: int,
    until: int,
    where: Mapping[Dimension, Collection[str]],
    limit: int,
) -> list[tuple[dict[Dimension, Any], Sums]]:
    """Sums over the roll-ups of some hours, in the order of `by`.

    Args:
        engine: of the database.
        by: dimensions to tell apart; none for one sum over all.
        since: the first hour, in hours since 1970.
        until: the hour after the last.
        where: values of which dimensions must have one.
        limit: of groups.
    """
    columns = [usage_hours.c[each] for each in by]
    sums = [func.coalesce(func.sum(column), 0).label(column.name) for column in _SUMS]
    query = (
        select(*columns, *sums)
        .where(usage_hours.c.hour >= since, usage_hours.c.hour < until)
        .where(*(usage_hours.c[name].in_(values) for name, values in where.items()))
        .group_by(*columns)
        .order_by(*columns)
        .limit(limit)
    )
    with reading(engine).connect() as connection:
        return [
            (dict(zip(by, row[: len(by)], strict=True)), _sums(row[len(by) :]))
            for row in connection.execute(query)
        ]


def releases(engine: Engine) -> dict[tuple[str, str], tuple[int, int, int]]:
    """The releases that answered, by pipeline and id: first hour, last hour, images."""
    hours = usage_hours.c
    query = (
        select(
            hours.pipeline,
            hours.release,
            func.min(hours.hour),
            func.max(hours.hour),
            func.sum(hours.images),
        )
        .where(hours.outcome == OK)
        .group_by(hours.pipeline, hours.release)
    )
    with reading(engine).connect() as connection:
        return {
            (pipeline, release): (first, last, int(images))
            for pipeline, release, first, last, images in connection.execute(query)
        }


def check(engine: Engine) -> list[Difference]:
    """The roll-ups that their rows do not give; rows that are not in yet are left out.

    Hours whose rows retention has removed, in part or whole, cannot be checked.
    """
    with _snapshot(engine) as connection:
        first = _first_whole_hour(connection)
        stored = connection.execute(select(usage_cursors.c.chain, usage_cursors.c.position))
        cursors = {row.chain: row.position for row in stored}
        of_rows: dict[Key, Sums] = {}
        _add(
            of_rows,
            (row for row in _rows(connection) if row.position <= cursors.get(row.chain, 0)),
            first,
        )
        rolled_up = {
            Key(*row[: len(_KEYS)]): _sums(row[len(_KEYS) :])
            for row in connection.execute(select(*_KEYS, *_SUMS).where(usage_hours.c.hour >= first))
        }
    return [
        Difference(key, mine, theirs)
        for key in sorted({*of_rows, *rolled_up})
        if not (mine := rolled_up.get(key, Sums())).equals(theirs := of_rows.get(key, Sums()))
    ]


def rebuild(engine: Engine) -> int:
    """Makes the roll-ups anew from the rows; says of how many. Hours without their rows stay."""
    with _snapshot(engine) as connection:
        first = _first_whole_hour(connection)
        sums: dict[Key, Sums] = {}
        cursors: dict[str, int] = {}
        rows = _add(sums, _noting(_rows(connection), cursors), first)
    # What is rolled up meanwhile is undone with the cursors, and done again at the next time.
    with engine.begin() as connection:
        connection.execute(delete(usage_hours).where(usage_hours.c.hour >= first))
        connection.execute(delete(usage_cursors))
        if sums:
            connection.execute(insert(usage_hours), [_values(*item) for item in sums.items()])
        if cursors:
            found = [{"chain": chain, "position": last} for chain, last in cursors.items()]
            connection.execute(insert(usage_cursors), found)
    return rows


def _behind(engine: Engine) -> list[tuple[str, int]]:
    """The chains that have rows beyond their cursors, and the cursors."""
    cursor = func.coalesce(usage_cursors.c.position, 0)
    more = exists().where(predictions.c.chain == chains.c.chain, predictions.c.position > cursor)
    query = (
        select(chains.c.chain, cursor)
        .outerjoin(usage_cursors, usage_cursors.c.chain == chains.c.chain)
        .where(more)
        .order_by(chains.c.chain)
    )
    with reading(engine).connect() as connection:
        return [(chain, position) for chain, position in connection.execute(query)]


def _advance(engine: Engine, chain: str, position: int) -> int:
    """Rolls up the next rows of a chain; says how many, 0 where somebody else was faster."""
    query = (
        select(*_READ)
        .where(predictions.c.chain == chain, predictions.c.position > position)
        .order_by(predictions.c.position)
        .limit(_AT_ONCE)
    )
    with reading(engine).connect() as connection:
        rows = connection.execute(query).all()
    sums: dict[Key, Sums] = {}
    _add(sums, rows, first=0)
    with engine.begin() as connection:
        begun = _insert(connection, usage_cursors).values(chain=chain, position=0)
        connection.execute(begun.on_conflict_do_nothing())
        # Of those who do so at the same time one moves the cursor; the others find that it did.
        here = (usage_cursors.c.chain == chain, usage_cursors.c.position == position)
        moved = update(usage_cursors).where(*here).values(position=rows[-1].position)
        if connection.execute(moved).rowcount == 0:
            return 0
        _upsert(connection, sums)
    return len(rows)


def _upsert(connection: Connection, sums: Mapping[Key, Sums]) -> None:
    if not sums:
        return
    statement = _insert(connection, usage_hours)
    added = {column.name: column + statement.excluded[column.name] for column in _SUMS}
    statement = statement.on_conflict_do_update(index_elements=_KEYS, set_=added)
    # In the order of their keys: who do so at the same time never wait for each other in a ring.
    connection.execute(statement, [_values(key, sums[key]) for key in sorted(sums)])


def _insert(connection: Connection, table: Any) -> Any:  # noqa: ANN401 - of either dialect
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


def _values(key: Key, sums: Sums) -> dict[str, Any]:
    return key._asdict() | vars(sums)


def _sums(row: Sequence[Any]) -> Sums:
    images, size, *seconds = row
    return Sums(int(images), int(size), *map(float, seconds))


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection all of whose reads see the same moment."""
    readers = reading(engine)
    if engine.dialect.name == "postgresql":
        readers = readers.execution_options(isolation_level="REPEATABLE READ")
    with readers.connect() as connection:
        yield connection


def _rows(connection: Connection) -> Iterator[_Row]:
    """All rows, some at a time."""
    yield from connection.execution_options(yield_per=_AT_ONCE).execute(select(*_READ))


def _noting(rows: Iterable[_Row], cursors: dict[str, int]) -> Iterator[_Row]:
    """The rows; notes the last position of each chain."""
    for row in rows:
        cursors[row.chain] = max(row.position, cursors.get(row.chain, 0))
        yield row


def _first_whole_hour(connection: Connection) -> int:
    """The first hour of which retention has removed nothing."""
    # A row that was removed is not younger than the head that was signed after it.
    signed = checkpoints.alias()
    removed = exists().where(
        checkpoints.c.kind == Statement.RETENTION,
        checkpoints.c.chain == signed.c.chain,
        checkpoints.c.position == signed.c.position,
    )
    heads = select(func.max(signed.c.at)).where(signed.c.kind == Statement.HEAD, removed)
    youngest: int | None = connection.scalar(heads)
    return 0 if youngest is None else youngest // HOUR + 1


def _add(sums: dict[Key, Sums], rows: Iterable[_Row], first: int) -> int:
    """Adds the images among rows of some hours; says how many they are."""
    count = 0
    for row in rows:
        hour = row.at // HOUR
        if row.event != PREDICTION or hour < first:
            continue
        count += 1
        key = Key(
            hour,
            row.principal_id,
            row.tenant,
            row.pipeline,
            row.release or _UNKNOWN,
            row.input_format or _UNKNOWN,
            row.refusal or OK,
            _level(row.result),
        )
        sums.setdefault(key, Sums())
        sums[key] += _of_row(row)
    return count


def _of_row(row: _Row) -> Sums:
    found = Sums(images=1, bytes=row.input_bytes or 0)
    for part in _parsed(row.compute).values():
        seconds = part["seconds"]
        if part["device"] == "gpu":
            found.gpu_seconds += seconds
        else:
            found.cpu_seconds += seconds
        if part.get("estimated"):
            found.estimated_seconds += seconds
    return found


def _level(result: str | None) -> str:
    """The uncertainty level in a row's result; "" where it has none."""
    level: str = _parsed(result).get("uncertainty", {}).get("level", _UNKNOWN)
    return level


def _parsed(text: str | None) -> dict[str, Any]:
    """A row's JSON; of a row that somebody has broken nothing, as `audit verify` tells of it."""
    with suppress(ValueError):
        if text and isinstance(found := json.loads(text), dict):
            return found
    return {}
