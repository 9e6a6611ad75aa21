"""Opens a database by its URL and brings its schema up to date."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.exc import DatabaseError as DriverError

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x5EC0_0D09
"""Of PostgreSQL's advisory locks, the one that is held while migrations run."""
_LOCK_SECONDS = 30
_LOCK_PAUSE = 0.02
_CONNECT_SECONDS = 5
_READS = "database_reads"
_DAMAGED = ("malformed", "not a database")
"""SQLite's words."""
UPGRADE = "python -m database upgrade"


class DatabaseError(Exception):
    """A database that cannot be used as it is; the text names it and the remedy."""


def parse_url(url: str) -> URL:
    """The URL of a SQLite file or of a PostgreSQL database, with its driver.

    Raises:
        DatabaseError: it is neither.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseError(_unusable_url()) from None
    kind = parsed.drivername.partition("+")[0]
    if kind in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed
    raise DatabaseError(_unusable_url())


def _unusable_url() -> str:
    # The URL may hold a password and is not repeated.
    return (
        "the database's URL is not usable: write sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    )


def is_embedded(url: str) -> bool:
    """Whether the database is a file of this machine (SQLite), and not a server's (PostgreSQL).

    Raises:
        DatabaseError: the URL is of neither.
    """
    return parse_url(url).drivername == "sqlite"


def open_engine(url: str) -> Engine:
    """An engine whose commits are on disk when they return. It connects when it is first used.

    A transaction takes SQLite's write lock when it begins (BEGIN IMMEDIATE), so that none fails
    half-way because another one wrote first; `reading` does not.

    Raises:
        DatabaseError: the URL is neither of SQLite nor of PostgreSQL.
    """
    parsed = parse_url(url)
    if parsed.drivername == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": _LOCK_SECONDS})
        event.listen(engine, "do_connect", _make_file)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        parsed,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": _CONNECT_SECONDS,
            # A server that vanished without a word is noticed.
            "tcp_user_timeout": 1000 * _CONNECT_SECONDS,
            "keepalives_idle": _CONNECT_SECONDS,
            "keepalives_interval": 1,
            "keepalives_count": _CONNECT_SECONDS,
            "options": "-c synchronous_commit=on -c timezone=UTC",
        },
    )


def reading(engine: Engine) -> Engine:
    """The same engine for transactions that only read: on SQLite they keep no writer waiting."""
    return engine.execution_options(**{_READS: True})


def _make_file(_dialect: Any, _record: Any, arguments: list[str], _options: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
    """Makes the file and its folder for this user alone; SQLite's other files follow its mode."""
    path = Path(arguments[0])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A file that is there is left alone: to open and close it here would end all locks that
    # SQLite's connections of this process have on it, and another process could remove its log.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _set_up_sqlite(connection: Any, _record: Any) -> None:  # noqa: ANN401 - a driver's connection
    # The driver would begin transactions itself, and later than it should.
    connection.isolation_level = None
    cursor = connection.cursor()
    _use_write_ahead_log(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # What is deleted is overwritten, such as keys of images.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _use_write_ahead_log(cursor: sqlite3.Cursor) -> None:
    """Of several that open a new file at a time one changes it, and the others may come again.

    SQLite does not wait for this lock by itself.
    """
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_LOCK_PAUSE)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get(_READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def head() -> str:
    """The newest revision of the schema, by the names of the migrations' files."""
    return max(path.stem for path in (_MIGRATIONS / "versions").glob("[0-9]*.py")).split("_")[0]


def revision(engine: Engine) -> str | None:
    """The revision of a database's schema; None where it has none yet, or is not there.

    Raises:
        DatabaseError: the database cannot be reached or opened.
    """
    file = _file(engine)
    if file is not None and not file.exists():
        return None
    with _usable(engine), reading(engine).connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found


def upgrade(engine: Engine) -> None:
    """Brings the schema to the newest revision: all of it, or nothing where it fails.

    Of several that do so at a time one does it and the others wait.

    Raises:
        DatabaseError: the database cannot be reached, or its schema is newer than this release.
    """
    # Imported where it is needed: who serves on a schema that fits needs no migrations.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with _usable(engine), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError:
            raise DatabaseError(
                "the database's schema is of a newer release than this one: use that release, or "
                "another database"
            ) from None


def require_schema(engine: Engine) -> None:
    """Checks that the schema is the one of this release; an embedded database is brought there.

    Raises:
        DatabaseError: it is not, or the database cannot be reached.
    """
    found = revision(engine)
    if found == head():
        return
    if engine.dialect.name == "sqlite":
        upgrade(engine)
        return
    raise DatabaseError(
        f"the database's schema is {found or 'not there yet'}, this release needs {head()}: run "
        f"`{UPGRADE}` with the same GATEWAY_DATABASE_URL"
    )


def require_there(engine: Engine) -> None:
    """Checks that an embedded database is there: who reads it, or mistyped its URL, makes none.

    Raises:
        DatabaseError: it is not.
    """
    file = _file(engine)
    if file is not None and not file.exists():
        raise DatabaseError(
            f"{file}: there is no database. GATEWAY_DATABASE_URL names it; a gateway makes it when "
            "it starts"
        )


def unusable(engine: Engine, error: SQLAlchemyError | OSError) -> DatabaseError:
    """What to say of a database that failed."""
    if isinstance(error, OSError):
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    else:
        # A driver's text may hold the address and the user, and never the password.
        lines = str(getattr(error, "orig", error)).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
    file = _file(engine)
    remedy = "Check GATEWAY_DATABASE_URL, and whether the server runs"
    if file is not None:
        remedy = f"Check that {file} is the right file, and that this user may write there"
        if any(word in reason for word in _DAMAGED):
            remedy = f"{file} is damaged, or another kind of file: restore a backup"
    return DatabaseError(f"the database cannot be used: {reason}. {remedy}")


def _file(engine: Engine) -> Path | None:
    """The file of an embedded database."""
    path = engine.url.database
    return Path(path) if engine.dialect.name == "sqlite" and path else None


@contextmanager
def _usable(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (DriverError, OSError) as error:
        raise unusable(engine, error) from None
