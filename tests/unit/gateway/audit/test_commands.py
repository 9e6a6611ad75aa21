"""`python -m gateway audit`, on a log that a gateway wrote."""

import json

import pytest
from sqlalchemy import delete, update
from typer.testing import CliRunner

from database.engine import open_engine
from database.tables import predictions
from gateway.commands.command_line import app
from gateway.settings import Settings
from tests.unit.gateway.samples import JPEG, RAW

pytestmark = pytest.mark.anyio


def run(*words):
    return CliRunner().invoke(app, ["audit", *map(str, words)])


def change(statement):
    engine = open_engine(Settings().database_url)
    with engine.begin() as connection:
        assert connection.execute(statement).rowcount != 0
    engine.dispose()


@pytest.fixture
async def answers(client):
    """Three answers, whose rows are in the log."""
    found = [await client.post("/api/v1/predict", content=JPEG, headers=RAW) for _ in range(3)]
    return [response.json() for response in found]


async def test_a_log_as_it_was_written_is_told(answers, tmp_path):
    (tmp_path / "answers.jsonl").write_text("\n".join(map(json.dumps, answers)))
    ended = run("verify", "--receipt", tmp_path / "answers.jsonl")
    assert (ended.exit_code, ended.stdout) == (
        0,
        "3 rows in 1 chains, 3 receipts: all as written\n",
    )


async def test_a_changed_byte_is_told_with_its_position(answers):
    change(update(predictions).where(predictions.c.position == 2).values(result="{}"))
    ended = run("verify", "--json")
    assert ended.exit_code == 1
    chain = answers[0]["receipt"]["chain"]
    assert json.loads(ended.stdout)["findings"] == [
        {"chain": chain, "position": 2, "text": "the row was changed"}
    ]


async def test_a_cut_tail_is_told_by_one_answer_and_by_the_public_key_alone(
    answers, tmp_path, monkeypatch
):
    (tmp_path / "public.pem").write_text(run("public-key").stdout)
    (tmp_path / "answer.json").write_text(json.dumps(answers[2]))
    change(delete(predictions).where(predictions.c.position == 3))
    monkeypatch.setenv("GATEWAY_SECRETS_DIR", str(tmp_path / "none"))
    words = ("verify", "--public-key", tmp_path / "public.pem")
    assert run(*words).exit_code == 0
    ended = run(*words, "--receipt", tmp_path / "answer.json")
    assert ended.exit_code == 1
    assert "position 3: the row is missing: the receipt states it" in ended.stdout
    assert not (tmp_path / "none").exists()


async def test_old_segments_are_removed_and_the_rest_verifies(client, answers):
    await client._transport.app.state.audit.checkpoint()
    await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert run("retain", "--older-than", "1d").stdout == "0 rows removed\n"
    change(update(predictions).where(predictions.c.position < 4).values(at=1))
    assert run("retain", "--older-than", "1d").stdout == "3 rows removed\n"
    assert run("verify").stdout == "1 rows in 1 chains, 0 receipts: all as written\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("verify", "--receipt", "no-such-file"), "no-such-file: it cannot be read"),
        (("verify", "--receipt", "README.md"), "README.md: there is no receipt in it"),
        (("verify", "--public-key", "README.md"), "README.md: it is no public Ed25519 key"),
        (("retain", "--older-than", "soon"), "as in 90d"),
    ],
)
def test_what_cannot_be_done_is_told_with_its_remedy(words, told):
    ended = run(*words)
    assert ended.exit_code == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
