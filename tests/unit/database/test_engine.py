"""The database's schema, and what its engine promises, on SQLite and on a real PostgreSQL."""

import stat
import subprocess
import sys
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from database import engine as database
from database.engine import (
    DatabaseError,
    open_engine,
    reading,
    require_schema,
    revision,
    upgrade,
)
from database.settings import DatabaseSettings
from database.tables import METADATA
from tests import databases


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    if request.param == "sqlite":
        return databases.sqlite_url(tmp_path / "new" / "empty.db")
    return databases.new_postgres_database(request.getfixturevalue("postgres_server"))


@pytest.fixture
def engine(database_url):
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def empty(empty_url):
    engine = open_engine(empty_url)
    yield engine
    engine.dispose()


def test_migrations_make_the_tables_that_the_code_knows(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_migrations_are_one_line_and_the_newest_is_known_without_reading_them():
    scripts = ScriptDirectory(str(database._MIGRATIONS))
    assert scripts.get_heads() == [database.head()]


def test_several_may_migrate_at_a_time(empty_url, empty):
    assert revision(empty) is None
    failures = []

    def migrate():
        other = open_engine(empty_url)
        try:
            upgrade(other)
        except DatabaseError as error:
            failures.append(error)
        finally:
            other.dispose()

    threads = [threading.Thread(target=migrate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert revision(empty) == database.head()


def test_several_may_make_a_file_at_a_time(tmp_path):
    failures = []

    def begin(url, together):
        other = open_engine(url)
        together.wait()
        try:
            with reading(other).connect():
                pass
        except OperationalError as error:
            failures.append(error)
        finally:
            other.dispose()

    for number in range(20):
        together = threading.Barrier(6)
        words = databases.sqlite_url(tmp_path / f"{number}.db"), together
        threads = [threading.Thread(target=begin, args=words) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_migration_that_fails_leaves_nothing(empty, monkeypatch):
    with empty.begin() as connection:
        connection.execute(text("CREATE TABLE checkpoints (other INTEGER)"))
    with pytest.raises(Exception, match="checkpoints"):
        upgrade(empty)
    assert revision(empty) is None
    with empty.connect() as connection:
        assert connection.dialect.has_table(connection, "predictions") is False


def test_a_file_is_migrated_where_it_is_needed_and_a_servers_database_is_not(empty):
    if empty.dialect.name == "sqlite":
        require_schema(empty)
        assert revision(empty) == database.head()
    else:
        with pytest.raises(DatabaseError, match="run `python -m database upgrade`"):
            require_schema(empty)
        assert revision(empty) is None


def test_a_schema_of_a_newer_release_is_refused(engine):
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match=r"9999|newer release"):
        require_schema(engine)


def test_a_file_is_readable_by_its_user_alone(tmp_path):
    path = tmp_path / "new" / "own.db"
    engine = open_engine(databases.sqlite_url(path))
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM checkpoints"))
        files = list(path.parent.iterdir())
        assert len(files) == 3  # with the write-ahead log
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    engine.dispose()


def test_commits_are_on_disk_when_they_return(engine):
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
            assert connection.scalar(text("PRAGMA synchronous")) == 2
            assert connection.scalar(text("PRAGMA foreign_keys")) == 1
        else:
            assert connection.scalar(text("SHOW synchronous_commit")) == "on"


def test_who_reads_keeps_no_writer_waiting(sqlite_url):
    engine = open_engine(sqlite_url)
    with database.reading(engine).connect() as reader:
        reader.execute(text("SELECT * FROM predictions"))
        with engine.begin() as writer:
            writer.execute(text("DELETE FROM predictions"))
    engine.dispose()


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@h/d", "sqlite://", "no url", "sqlite:///:memory:"]
)
def test_other_urls_are_refused_without_repeating_them(url):
    with pytest.raises(ValueError, match="postgresql://USER@HOST/DATABASE") as caught:
        DatabaseSettings(database_url=url)
    assert "secret" not in caught.value.errors()[0]["msg"]


def test_the_password_is_not_shown():
    assert "secret" not in repr(DatabaseSettings(database_url="postgresql://u:secret@h/d"))


def run(command, url):
    return subprocess.run(
        [sys.executable, "-m", "database", command],
        env={"GATEWAY_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line_migrates_and_tells_the_schema(empty_url):
    before, upgraded, after = (run(word, empty_url) for word in ("status", "upgrade", "status"))
    head = database.head()
    assert (before.returncode, before.stdout) == (1, f"schema: none; newest: {head}\n")
    assert (upgraded.returncode, upgraded.stderr) == (0, "")
    assert (after.returncode, after.stdout) == (0, f"schema: {head}; newest: {head}\n")


def test_a_server_that_is_away_is_told_without_a_traceback():
    ended = run("status", "postgresql://user:secret@127.0.0.1:1/none")
    assert ended.returncode == 2
    assert ended.stderr.startswith("database: the database cannot be used: ")
    assert "secret" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_to_ask_for_the_schema_makes_no_file(tmp_path):
    ended = run("status", databases.sqlite_url(tmp_path / "mistyped" / "none.db"))
    assert (ended.returncode, ended.stdout.split(";")[0]) == (1, "schema: none")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["status", "upgrade"])
def test_a_file_that_is_no_database_is_told_without_a_traceback(tmp_path, command):
    file = tmp_path / "other.db"
    file.write_bytes(b"no database\n" * 1000)
    ended = run(command, databases.sqlite_url(file))
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("database: the database cannot be used: file is not a database. ")
    assert f"{file} is damaged" in line


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("text")
    ended = run("upgrade", databases.sqlite_url(tmp_path / "file" / "own.db"))
    assert ended.returncode == 2
    assert f"{tmp_path / 'file'}" in ended.stderr
    assert "Errno" not in ended.stderr


def test_another_process_that_closes_the_file_takes_nothing_from_this_one(sqlite_url):
    """SQLite's locks are a process's: to close the file by other means than SQLite's ends them all.

    Then another process that leaves takes itself for the last one, and removes the log in which
    this one goes on writing.
    """
    engine = open_engine(sqlite_url)
    count, change = "SELECT count FROM api_key_changes", "UPDATE api_key_changes SET count = {}"

    def elsewhere(statement):
        code = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1])\n"
            "found = c.execute(sys.argv[2]).fetchone(); c.commit(); print(found and found[0])"
        )
        path = sqlite_url.removeprefix("sqlite:///")
        words = [sys.executable, "-c", code, path, statement]
        ended = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
        return ended.stdout.strip()

    # Two connections of this process, as a writer and a reader have them.
    with engine.connect() as kept:
        kept.execute(text(count))
        kept.rollback()
        with reading(engine).connect() as other:
            assert other.scalar(text(count)) == 0
        elsewhere(change.format(7))
        with reading(engine).connect() as other:
            assert other.scalar(text(count)) == 7
        kept.execute(text(change.format(8)))
        kept.commit()
        assert elsewhere(count) == "8"
    engine.dispose()
