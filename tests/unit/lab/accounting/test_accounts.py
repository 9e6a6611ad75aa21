"""Accounts that do not balance are found: each planted error by its own figure."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from database.engine import open_engine
from database.tables import predictions
from database.writer import Writer
from lab.accounting.accounts import account
from lab.accounting.callers import Answer
from tests.unit.database.rows import row

CANCER, HEALTHY = [0.2, 0.8], [0.9, 0.1]


@pytest.fixture
def engine(sqlite_url):
    engine = open_engine(sqlite_url)
    yield engine
    engine.dispose()


@asynccontextmanager
async def writing(engine):
    writer = Writer(engine, "gateway")
    writer.start()
    yield writer
    await writer.close()


def prediction(photo, probabilities, request_id):
    values = {"probabilities": dict(zip(("healthy", "cancer"), probabilities, strict=True))}
    return row(
        input_digest=f"{photo:064d}", result=json.dumps(values), request_id=request_id, refusal=None
    )


@pytest.fixture
def ledger(engine):
    """Two reference answers, and three that callers saw, with their rows; one refusal beside."""

    async def write():
        async with writing(engine) as writer:
            made = []
            for photo, values, name in (
                (0, CANCER, "reference-0"),
                (1, HEALTHY, "reference-1"),
                (0, CANCER, "key-a"),
                (1, HEALTHY, "one-b"),
                (0, CANCER, "key-c"),
            ):
                written = prediction(photo, values, name)
                receipt = await writer.write(written)
                place = (receipt.chain, receipt.position, receipt.head)
                made.append(Answer(written["id"], photo, place, values))
            await writer.write(row(result=None, refusal="image_undecodable", request_id="key-d"))
            return made

    answers = asyncio.run(write())
    references = {answer.id: answer.probabilities for answer in answers[:2]}
    return answers[2:], references


def test_answers_with_their_rows_balance(sqlite_url, ledger):
    answers, references = ledger
    found = account(sqlite_url, answers, references, 0)
    assert found.balances
    assert (found.answers, found.rows) == (3, 3)


def test_an_answer_without_a_row_is_missing(sqlite_url, ledger, engine):
    answers, references = ledger
    with engine.begin() as connection:
        connection.execute(delete(predictions).where(predictions.c.id == answers[1].id))
    found = account(sqlite_url, answers, references, 0)
    assert (found.missing, found.balances) == (1, False)


def test_a_row_with_another_result_than_its_photos_reference_is_wrong(sqlite_url, ledger, engine):
    answers, references = ledger
    other = json.dumps({"probabilities": {"healthy": 0.8, "cancer": 0.2}})
    with engine.begin() as connection:
        of = predictions.c.id == answers[0].id
        connection.execute(update(predictions).where(of).values(result=other))
    found = account(sqlite_url, answers, references, 0)
    assert (found.wrong, found.balances) == (1, False)


def test_a_receipt_of_another_place_is_found(sqlite_url, ledger):
    answers, references = ledger
    chain, position, head = answers[0].receipt
    moved = [replace(answers[0], receipt=(chain, position + 1, head)), *answers[1:]]
    found = account(sqlite_url, moved, references, 0)
    assert (found.other_receipts, found.balances) == (1, False)


def test_a_key_with_two_rows_is_found(sqlite_url, ledger, engine):
    answers, references = ledger

    async def write():
        async with writing(engine) as writer:
            await writer.write(prediction(0, CANCER, "key-a"))

    asyncio.run(write())
    found = account(sqlite_url, answers, references, 0)
    assert (found.twice, found.beyond, found.balances) == (1, 1, False)


def test_a_row_of_a_key_that_was_never_answered_is_found_unless_its_caller_gave_up(
    sqlite_url, ledger
):
    answers, references = ledger
    found = account(sqlite_url, answers[:2], references, 0)
    assert (found.lost_keys, found.balances) == (1, False)
    assert account(sqlite_url, answers[:2], references, 1).balances


def test_an_answer_that_a_caller_without_a_key_lost_is_counted_and_no_fault(sqlite_url, ledger):
    answers, references = ledger
    found = account(sqlite_url, [answers[0], answers[2]], references, 0)
    assert found.balances
    assert found.beyond == 1
