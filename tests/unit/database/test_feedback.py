"""Feedback in the database, on SQLite and on a real PostgreSQL."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, insert, select

from database import feedback
from database.engine import open_engine
from database.feedback import Query, Texts
from database.retention import retain
from database.tables import checkpoints, feedback_comments, kept_images, predictions

HOUR = 3600 * 1_000_000
TEXTS = Texts(b"salt", "A. Reader", "Biopsy done.")


@pytest.fixture
def connection(database_url):
    engine = open_engine(database_url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def log_row(name, position, **columns):
    """A row of the audit log."""
    return {
        "id": name, "chain": "toy", "position": position, "at": 1000 * position,
        "event": "prediction", "principal_id": "p", "principal_kind": "key",
        "credential": "", "tenant": "clinic", "request_id": "r", "transport": "http",
        "route": "predict", "pipeline": "toy", "release": "1-a", "parameters": "{}",
        "stages": "{}", "kept": False, "previous": "", "hash": f"{position}",
    } | columns  # fmt: skip


def log(connection, *rows):
    columns = {column.name for column in predictions.c}
    rows = [{name: row.get(name) for name in columns} for row in rows]
    connection.execute(insert(predictions), rows)


def add(connection, name, of, position, texts=None):
    feedback.add(connection, name, of, 1000 * position, texts)
    log(connection, log_row(name, position, event="feedback", result='{"label": "a"}'))


def asked(connection, **changes):
    chosen = {
        "pipeline": "toy", "tenant": None, "unlabelled": False, "since": None, "until": None,
        "after": None, "limit": 10,
    } | changes  # fmt: skip
    return [row.id for row in feedback.cases(connection, Query(**chosen))]


def test_the_history_of_a_prediction_has_all_of_its_feedback_in_order(connection):
    log(connection, log_row("p1", 1), log_row("p2", 2))
    add(connection, "f1", "p1", 3, TEXTS)
    add(connection, "f2", "p2", 4)
    add(connection, "f3", "p1", 5)
    found = feedback.history(connection, ["p1", "p2", "p3"])
    assert {name: [row.id for row in rows] for name, rows in found.items()} == {
        "p1": ["f1", "f3"],
        "p2": ["f2"],
    }
    first, second = found["p1"]
    assert (first.salt, first.reader, first.comment) == (b"salt", "A. Reader", "Biopsy done.")
    assert (second.salt, second.reader, second.comment) == (None, None, None)
    assert first.result == '{"label": "a"}'


def test_feedback_whose_row_is_gone_is_not_seen_and_goes_with_its_comment(connection):
    log(connection, log_row("p1", 1))
    add(connection, "f1", "p1", 5, TEXTS)
    add(connection, "f2", "p1", 6, TEXTS)
    assert feedback.delete_orphans(connection) == 0
    connection.execute(delete(predictions).where(predictions.c.id == "f1"))
    assert [row.id for row in feedback.history(connection, ["p1"])["p1"]] == ["f2"]
    assert feedback.delete_orphans(connection) == 1
    assert connection.scalars(select(feedback_comments.c.feedback_id)).all() == ["f2"]


def test_cases_are_answered_predictions_of_the_pipeline_with_feedback(connection):
    log(
        connection,
        log_row("p1", 1), log_row("p2", 2), log_row("p3", 3, pipeline="other"),
        log_row("p4", 4, refusal="image_undecodable"), log_row("p5", 5, tenant="other"),
        log_row("p6", 6, event="audit_read"), log_row("p7", 7),
    )  # fmt: skip
    for position, of in enumerate(("p1", "p3", "p4", "p5", "p1"), 10):
        add(connection, f"f{position}", of, position)
    feedback.add(connection, "gone", "p7", 1, None)
    assert asked(connection) == ["p1", "p5"]
    assert asked(connection, tenant="clinic") == ["p1"]
    assert asked(connection, unlabelled=True) == ["p1", "p2", "p5", "p7"]
    assert asked(connection, unlabelled=True, limit=2) == ["p1", "p2"]
    assert asked(connection, unlabelled=True, limit=2, after="p2") == ["p5", "p7"]
    assert asked(connection, unlabelled=True, since=2000, until=5000) == ["p2"]


def test_a_case_says_whether_its_image_is_still_kept(connection):
    log(connection, log_row("p1", 1), log_row("p2", 2), log_row("p3", 3))
    image = {"pipeline": "toy", "at": 1, "expires_at": 2, "name": "n", "key_id": "k"}
    for name, key in (("p1", b"key"), ("p2", None)):
        row = image | {"prediction_id": name, "wrapped_key": key}
        connection.execute(insert(kept_images), row)
    rows = feedback.cases(connection, Query("toy", None, True, None, None, None, 10))
    assert [bool(row.image_kept) for row in rows] == [True, False, False]


def test_deleted_texts_are_gone_and_the_finding_stays(connection):
    log(connection, log_row("p1", 1), log_row("p2", 2))
    add(connection, "f1", "p1", 3, TEXTS)
    assert not feedback.delete_texts(connection, "p2", "f1")
    assert feedback.delete_texts(connection, "p1", "f1")
    assert not feedback.delete_texts(connection, "p1", "f1")
    (row,) = feedback.history(connection, ["p1"])["p1"]
    assert (row.reader, row.comment, row.result) == (None, None, '{"label": "a"}')


def test_retention_takes_comments_along(database_url):
    engine = open_engine(database_url)
    with engine.begin() as connection:
        log(connection, log_row("p1", 1))
        add(connection, "f1", "p1", 2, TEXTS)
        add(connection, "f2", "p1", 3, TEXTS)
        head = {"chain": "toy", "position": 2, "kind": "head", "head": "2", "at": 1}
        connection.execute(insert(checkpoints), head | {"key": "", "signature": ""})
    retain(engine, Ed25519PrivateKey.generate(), before=3000)
    with engine.connect() as connection:
        left = connection.scalars(select(feedback_comments.c.feedback_id)).all()
    engine.dispose()
    assert left == ["f2"]


def test_a_history_may_be_of_more_predictions_than_a_statement_has_variables(connection):
    log(connection, log_row("p1", 1))
    add(connection, "f1", "p1", 2)
    assert list(feedback.history(connection, ["x"] * 40_000 + ["p1"])) == ["p1"]
