"""`python -m lab.accounting` prints and writes what it found of each database at once."""

from collections import Counter

import pytest
from typer.testing import CliRunner

from database.verification import Verified
from lab.accounting import __main__ as command
from lab.accounting import trial
from lab.accounting.accounts import Account
from lab.accounting.callers import GRPC, HTTP
from lab.accounting.trial import Fault, Figures
from lab.errors import LabError


def figures(database, **differing):
    counts = dict.fromkeys(Account.__annotations__, 0) | {"answers": 4321, "rows": 4321}
    killed = Fault("SIGKILL of gateway", {HTTP: 3.25, GRPC: 4.75}, Counter({"UNAVAILABLE": 7}))
    return Figures(
        database=database,
        seconds=600,
        faults=[killed],
        account=Account(**counts | differing),
        wrong=0,
        given_up=0,
        verified=Verified(chains=2, rows=4400, findings=[]),
    )


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command with what each database's trial gives, or raises."""
    page = tmp_path / "audit.md"
    page.write_text("<!-- accounting: begin -->\n<!-- accounting: end -->\n", "utf-8")

    def run(**outcomes):
        def made(kind, *_):
            outcome = outcomes[kind]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(trial, "run", made)
        app = command.typer.Typer()
        app.command()(command.main)
        places = ["--repository", str(tmp_path), "--specs", str(tmp_path), "--docs", str(page)]
        return CliRunner().invoke(app, places), page.read_text("utf-8")

    return run


def test_what_was_found_of_one_database_is_there_though_the_next_one_fails(run):
    done, page = run(sqlite=figures("SQLite"), postgresql=LabError("it does not start"))
    assert done.exit_code == 2
    for text in (done.stdout, page):
        assert "| answers that callers saw | 4,321 |" in text
        assert "| SIGKILL of gateway | 1 | 3.2 s | 4.8 s | 7 x UNAVAILABLE |" in text


def test_each_table_is_printed_alone_and_the_page_has_both(run):
    done, page = run(sqlite=figures("SQLite"), postgresql=figures("PostgreSQL"))
    assert done.exit_code == 0
    assert done.stdout.count("|  | SQLite |\n") == done.stdout.count("|  | PostgreSQL |\n") == 1
    assert "|  | SQLite | PostgreSQL |\n" in page


def test_an_answer_without_a_row_fails_the_command(run):
    done, _ = run(sqlite=figures("SQLite", missing=1), postgresql=figures("PostgreSQL"))
    assert done.exit_code == 1
