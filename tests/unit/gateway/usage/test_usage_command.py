"""`python -m gateway usage`: sums that are not those of the rows are named, and made anew."""

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from database.engine import open_engine
from database.tables import usage_hours
from gateway.commands.command_line import app
from tests.unit.gateway.usage.test_usage_routes import stored  # noqa: F401 - a fixture


def run(*words):
    return CliRunner().invoke(app, ["usage", *words])


@pytest.mark.usefixtures("stored")
def test_sums_are_checked_and_made_anew(sqlite_url):
    assert run("check").output == "all sums are those of the rows\n"
    engine = open_engine(sqlite_url)
    with engine.begin() as connection:
        connection.execute(
            update(usage_hours).where(usage_hours.c.name == "clinic").values(images=7)
        )
    engine.dispose()
    found = run("check")
    assert found.exit_code == 1
    assert "clinic mhist" in found.output
    assert "7 images" in found.output
    assert "1 sums differ: run `python -m gateway usage rebuild`" in found.output
    assert run("rebuild").output == "made anew from 4 rows\n"
    assert run("check").exit_code == 0


def test_a_database_that_cannot_be_used_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("GATEWAY_DATABASE_URL", "mysql://host/name")
    found = run("check")
    assert found.exit_code == 2
    assert "sqlite:///" in found.stderr
    (tmp_path / "a folder.db").mkdir()
    monkeypatch.setenv("GATEWAY_DATABASE_URL", f"sqlite:///{tmp_path}/a folder.db")
    found = run("rebuild")
    assert found.exit_code == 2
    assert "the database" in found.stderr
