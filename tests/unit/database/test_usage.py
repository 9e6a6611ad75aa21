"""Usage by the hour is what the audit log's rows say, each row once, on SQLite and PostgreSQL."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, insert, select, update

from database import usage
from database.chain import Statement, sign
from database.engine import open_engine
from database.retention import retain
from database.tables import checkpoints, predictions, usage_cursors, usage_hours
from database.usage import HOUR, Dimension, Key, Sums, check, rebuild, refresh, totals
from database.writer import Writer
from tests.unit.database.rows import row

pytestmark = pytest.mark.anyio
NOON = 500_000
"""An hour, since 1970."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def engine(database_url):
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


async def written(engine, *rows, gateway="gateway"):
    writer = Writer(engine, gateway)
    writer.start()
    try:
        return await asyncio.gather(*(writer.write(each) for each in rows))
    finally:
        await writer.close()


def image(hour=NOON, second=0, *, seconds=0.25, device="cpu", estimated=False, **values):
    member = {"seconds": seconds, "device": device} | ({"estimated": True} if estimated else {})
    parts = {"decode": {"seconds": 0.125, "device": "cpu"}, "vgg16": member}
    values = {"result": json.dumps({"uncertainty": {"level": "low"}})} | values
    return row(at=hour * HOUR + second * 10**6, compute=json.dumps(parts), **values)


def refused(hour=NOON, code="image_undecodable"):
    return row(at=hour * HOUR, refusal=code, release=None, result=None, compute=None)


def over_all(engine, *by, since=0, until=10**7, **where):
    named = {Dimension(name): [value] for name, value in where.items()}
    found = totals(engine, by, since=since, until=until, where=named, limit=100)
    return {tuple(key.values()): sums for key, sums in found}


async def test_images_and_their_compute_time_are_summed_by_the_hour(engine):
    await written(
        engine,
        image(),
        image(second=3599, seconds=0.5),
        image(NOON + 1, device="gpu", estimated=True),
        refused(),
        row(event="audit_read", at=NOON * HOUR),
    )
    assert refresh(engine) == 5
    by_hour = over_all(engine, Dimension.HOUR)
    assert by_hour[(NOON,)] == Sums(3, 3000, cpu_seconds=1.0)
    assert by_hour[(NOON + 1,)] == Sums(1, 1000, 0.125, 0.25, estimated_seconds=0.25)
    assert over_all(engine) == {(): Sums(4, 4000, 1.125, 0.25, 0.25)}
    outcomes = over_all(engine, Dimension.OUTCOME, Dimension.LEVEL, until=NOON + 1)
    assert {key: sums.images for key, sums in outcomes.items()} == {
        ("ok", "low"): 2,
        ("image_undecodable", ""): 1,
    }
    assert (
        over_all(engine, Dimension.RELEASE, release="2024.1-abcdef")[("2024.1-abcdef",)].images == 3
    )
    assert check(engine) == []


async def test_a_row_counts_once_however_often_and_wherever_it_is_rolled_up(engine, database_url):
    await written(engine, *(image(second=n) for n in range(40)))
    await written(engine, *(image(second=n) for n in range(25)), gateway="other")
    engines = [open_engine(database_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(refresh, engines)) == 65
    for each in engines:
        each.dispose()
    assert refresh(engine) == 0
    await written(engine, image())
    assert refresh(engine) == 1
    assert over_all(engine)[()].images == 66
    assert check(engine) == []


async def test_many_rows_are_rolled_up_some_at_a_time(engine, monkeypatch):
    monkeypatch.setattr(usage, "_AT_ONCE", 3)
    await written(engine, *(image(NOON + n % 2) for n in range(10)))
    assert refresh(engine) == 10
    assert [sums.images for sums in over_all(engine, Dimension.HOUR).values()] == [5, 5]


async def test_a_roll_up_that_its_rows_do_not_give_is_found_and_made_anew(engine):
    await written(engine, image(), image(NOON + 1), refused())
    refresh(engine)
    with engine.begin() as connection:
        connection.execute(
            update(usage_hours).where(usage_hours.c.hour == NOON + 1).values(cpu_seconds=9.0)
        )
        connection.execute(delete(usage_hours).where(usage_hours.c.outcome != "ok"))
    differences = {each.key.outcome: each for each in check(engine)}
    assert set(differences) == {"ok", "image_undecodable"}
    assert differences["ok"].rolled_up.cpu_seconds == 9.0
    assert differences["ok"].of_rows.cpu_seconds == 0.375
    assert differences["image_undecodable"].rolled_up == Sums()
    assert rebuild(engine) == 3
    assert check(engine) == []
    assert refresh(engine) == 0


async def test_rows_that_come_while_the_roll_ups_are_made_anew_are_counted_once(
    engine, monkeypatch
):
    await written(engine, image(), image())
    refresh(engine)
    rows = usage._rows

    def slow(connection):
        yield from rows(connection)
        with ThreadPoolExecutor(1) as pool:  # another gateway goes on meanwhile
            pool.submit(asyncio.run, written(engine, image(), gateway="other")).result()
            assert pool.submit(refresh, engine).result() == 1

    monkeypatch.setattr(usage, "_rows", slow)
    rebuild(engine)
    monkeypatch.setattr(usage, "_rows", rows)
    refresh(engine)
    assert over_all(engine)[()].images == 3
    assert check(engine) == []


async def test_hours_whose_rows_were_removed_stay_and_are_not_checked(engine):
    (first, *_) = receipts = await written(engine, image(), image(NOON + 5), image(NOON + 9))
    refresh(engine)
    key = Ed25519PrivateKey.generate()
    signed = sign(key, Statement.HEAD, receipts[1], (NOON + 5) * HOUR + 1)
    signed["kind"] = signed.pop("statement")
    with engine.begin() as connection:
        connection.execute(insert(checkpoints), signed)
    assert retain(engine, key, before=(NOON + 6) * HOUR) == 2
    with engine.connect() as connection:
        assert len(connection.execute(select(predictions.c.id)).all()) == 1
    assert check(engine) == []
    assert rebuild(engine) == 1
    assert [key[0] for key in over_all(engine, Dimension.HOUR)] == [NOON, NOON + 5, NOON + 9]
    assert refresh(engine) == 0
    assert first.chain == receipts[1].chain


async def test_a_roll_up_that_fails_half_way_moves_no_cursor(engine, monkeypatch):
    await written(engine, image())

    def fails(*_):
        raise OSError("no space")

    with monkeypatch.context() as context:
        context.setattr(usage, "_upsert", fails)
        with pytest.raises(OSError, match="no space"):
            refresh(engine)
    with engine.connect() as connection:
        assert connection.execute(select(usage_cursors)).all() == []
    assert refresh(engine) == 1
    assert over_all(engine)[()].images == 1


async def test_a_row_that_somebody_has_broken_stops_nothing(engine):
    await written(engine, image(), image(), image())
    with engine.begin() as connection:
        broken = predictions.c.position == 2
        connection.execute(update(predictions).where(broken).values(compute="{", result="[1]"))
    assert refresh(engine) == 3
    assert over_all(engine)[()] == Sums(3, 3000, cpu_seconds=0.75)
    assert over_all(engine, Dimension.LEVEL)[("",)].images == 1


def test_sums_that_were_added_in_another_order_are_the_same():
    assert Sums(1, 2, 0.1 + 0.2).equals(Sums(1, 2, 0.3))
    assert not Sums(1, 2, 0.31).equals(Sums(1, 2, 0.3))
    assert not Sums(2, 2, 0.3).equals(Sums(1, 2, 0.3))
    assert len(Key._fields) == len(Dimension)
