"""Records of kept images, on SQLite and on a real PostgreSQL."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from database import kept_images
from database.engine import open_engine
from database.kept_images import KeptImage
from database.tables import kept_images as table
from tests.unit.database.test_feedback import HOUR, log, log_row

IMAGE = KeptImage("p1", "toy", 1000, 9000, "toy/p1", "old", b"wrapped")


@pytest.fixture
def connection(database_url):
    engine = open_engine(database_url)
    with engine.begin() as connection:
        log(connection, log_row("p1", 1), log_row("p2", 2))
        yield connection
    engine.dispose()


def test_an_image_is_found_until_its_time_is_over(connection):
    kept_images.add(connection, [IMAGE])
    assert kept_images.find(connection, "p1", 8999) == IMAGE
    assert kept_images.find(connection, "p1", 9000) is None
    assert kept_images.find(connection, "p2", 1) is None


def test_a_destroyed_key_is_in_no_column_and_its_image_is_not_found(connection):
    kept_images.add(connection, [IMAGE, replace(IMAGE, prediction_id="p2")])
    assert kept_images.destroy(connection, ["p1"], 5000) == 1
    assert kept_images.destroy(connection, ["p1"], 6000) == 0
    assert kept_images.find(connection, "p1", 1) is None
    assert kept_images.find(connection, "p2", 1) is not None
    row = connection.execute(select(table).where(table.c.prediction_id == "p1")).one()
    assert (row.wrapped_key, row.deleted_at) == (None, 5000)


def test_images_are_due_after_their_time_and_where_there_is_no_prediction(connection):
    late = replace(IMAGE, expires_at=9000 + 2 * HOUR)
    kept_images.add(
        connection,
        [IMAGE, replace(late, prediction_id="p2"), replace(late, prediction_id="unanswered")],
    )
    due = [each.prediction_id for each in kept_images.due(connection, 9000, 10)]
    assert due == ["p1"]
    due = [each.prediction_id for each in kept_images.due(connection, 1001 + HOUR, 10)]
    assert due == ["p1", "unanswered"]
    kept_images.destroy(connection, due, 1)
    assert kept_images.due(connection, 1001 + HOUR, 10) == []


def test_keys_of_an_older_key_are_found_page_by_page_and_replaced(connection):
    kept_images.add(
        connection, [replace(IMAGE, prediction_id=f"p{n}", name=f"toy/p{n}") for n in range(5)]
    )
    first = kept_images.wrapped_by_others(connection, "new", "", 3)
    assert [each.prediction_id for each in first] == ["p0", "p1", "p2"]
    kept_images.destroy(connection, ["p0"], 1)
    for each in first:
        kept_images.rewrap(connection, each, "new", b"again")
    left = kept_images.wrapped_by_others(connection, "new", "", 10)
    assert [each.prediction_id for each in left] == ["p3", "p4"]
    assert kept_images.find(connection, "p1", 1).wrapped_key == b"again"
    assert kept_images.find(connection, "p0", 1) is None
    assert kept_images.names(connection, ["toy/p0", "toy/p1", "toy/x"]) == {"toy/p1"}
