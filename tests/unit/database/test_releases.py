"""The changes in the database, on SQLite and PostgreSQL: each whole, and only ever added."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import event

from database import releases as history
from database import shadow
from database.engine import open_engine
from database.releases import Author
from pipelines import release_changes as changes
from pipelines.release_changes import Action, ChangeRefusedError
from pipelines.release_state import ReleaseState

OLD, NEW = "1-aaaaaaaa", "2-bbbbbbbb"


@pytest.fixture
def engine(database_url):
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def first():
    return ReleaseState(pipeline="mhist", profile="default", revision=1, current=OLD)


def change(engine, action, step, by="ward", evidence=None):
    with engine.begin() as connection:
        return history.apply(
            connection,
            action,
            step,
            first=first,
            pipeline="mhist",
            profile="default",
            author=Author(by, evidence),
        )


def told(engine, **options):
    with engine.connect() as connection:
        return history.entries(connection, "mhist", "default", **options)


def test_the_history_says_what_served_when_by_whom_and_on_what_evidence(engine):
    change(engine, Action.STAGE, changes.stage(NEW))
    change(engine, Action.PROMOTE, changes.promote(), by="chief", evidence="gate 7")
    promoted, staged, begun = told(engine)
    assert [entry.action for entry in (begun, staged, promoted)] == ["begin", "stage", "promote"]
    assert (promoted.by, promoted.evidence, promoted.state.current) == ("chief", "gate 7", NEW)
    (served, *_) = told(engine, until=promoted.at - 1)
    assert served.state.current == OLD
    assert told(engine, until=begun.at - 1) == []
    assert history.states_in(engine) == [promoted.state]


def test_of_two_changes_at_a_time_one_is_made(engine):
    change(engine, Action.STAGE, changes.stage(NEW))
    ready = Barrier(2, timeout=30)

    def split(share):
        own = open_engine(engine.url.render_as_string(hide_password=False))
        if engine.dialect.name == "postgresql":
            # Both have read the same state before either writes.
            event.listen(own, "before_cursor_execute", lambda *a: _meet(ready, a[2]))
        try:
            change(own, Action.SPLIT, changes.split(share))
        finally:
            own.dispose()

    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(split, share) for share in (100, 200)]
    errors = [each.exception() for each in made]
    refused = [error for error in errors if error is not None]
    assert all(isinstance(error, ChangeRefusedError) for error in refused)
    # SQLite lets the second begin only when the first is done.
    assert len(refused) == (1 if engine.dialect.name == "postgresql" else 0)
    revisions = [entry.state.revision for entry in told(engine)]
    assert revisions == list(range(len(revisions), 0, -1))


def _meet(ready, statement):
    if statement.startswith("INSERT"):
        ready.wait()


@pytest.mark.parametrize("statement", ["SELECT", "INSERT", "COMMIT"])
def test_a_change_that_is_interrupted_leaves_the_old_state_or_the_new(engine, statement):
    class Killed(BaseException):
        pass

    change(engine, Action.STAGE, changes.stage(NEW))

    def kill(_connection, _cursor, text, *_):
        if text.startswith(statement):
            raise Killed

    if statement == "COMMIT":
        event.listen(engine, "commit", lambda _: (_ for _ in ()).throw(Killed()))
    else:
        event.listen(engine, "before_cursor_execute", kill)
    with pytest.raises(Killed):
        change(engine, Action.PROMOTE, changes.promote())
    again = open_engine(engine.url.render_as_string(hide_password=False))
    assert [entry.action for entry in told(again)] == ["stage", "begin"]
    change(again, Action.PROMOTE, changes.promote())
    assert told(again)[0].state.current == NEW
    again.dispose()


def test_a_row_of_the_version_before_has_no_share_of_copies(engine):
    change(engine, Action.STAGE, changes.stage(NEW))
    with engine.begin() as connection:
        # As an older gateway beside this one writes it.
        connection.exec_driver_sql(
            "INSERT INTO release_changes "
            "(pipeline, profile, revision, at, action, release, current, share, by) "
            "VALUES ('mhist', 'default', 3, 0, 'retire', '2-bbbbbbbb', '1-aaaaaaaa', 0, 'older')"
        )
    (state,) = history.states_in(engine)
    assert (state.revision, state.shadow) == (3, 0)


def test_what_is_compared_is_added_up_whoever_does_so_at_the_same_time(engine):
    key = shadow.Key("mhist", OLD, NEW, shadow.IMAGES, shadow.COMPARED)
    other = shadow.Key("mhist", NEW, "3-cccccccc", shadow.IMAGES, shadow.SHED)

    def add(_):
        own = open_engine(engine.url.render_as_string(hide_password=False))
        for _ in range(10):
            with own.begin() as connection:
                shadow.add(connection, {other: 2, key: 1})
        own.dispose()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(add, range(2)))
    with engine.connect() as connection:
        both = shadow.comparisons(connection, "mhist")
        (one,) = shadow.comparisons(connection, "mhist", NEW)
        assert shadow.comparisons(connection, "oral_cancer") == []
    assert [(each["given"], each["compared"], each["shed"]) for each in both] == [
        (OLD, 20, 0),
        (NEW, 0, 40),
    ]
    assert one == both[0]
    assert one["compute_ms"] == {"given": 0.0, "candidate": 0.0}
    assert both[1]["compute_ms"] == {"given": None, "candidate": None}
