"""Images that are kept, read, and destroyed, in a folder and a database."""

import asyncio
import os
import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from database.engine import open_engine
from database.tables import kept_images, predictions
from database.writer import Writer
from gateway.errors import Code, RefusedError
from gateway.kept_images import keeper
from gateway.kept_images.encryption import UnreadableImageError
from gateway.kept_images.keeper import ImageToKeep, KeptImages
from gateway.kept_images.store import StoreError
from gateway.secret_files import SecretFiles
from tests.unit.database.test_feedback import log_row

pytestmark = pytest.mark.anyio
IMAGE = b"\xff\xd8 a photo of nobody" * 100
HOURS_AGO = 3 * 3600


def kept(name, days=10):
    return ImageToKeep(name, "toy", IMAGE, days)


@pytest.fixture
def engine(sqlite_url):
    engine = open_engine(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture
async def writer(engine):
    writer = Writer(engine, "toy")
    writer.start()
    yield writer
    await writer.close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kept"


@pytest.fixture
def failures():
    """The steps that the gateway was told had failed."""
    return []


@pytest.fixture
def images(engine, writer, folder, tmp_path, failures):
    secrets = SecretFiles(tmp_path / "secrets", made=True)
    return KeptImages(str(folder), secrets, engine, writer, failures.append)


def change(engine, statement):
    with engine.begin() as connection:
        connection.execute(statement)


def left(engine):
    """Keys that were not destroyed."""
    with engine.connect() as connection:
        return connection.scalars(
            select(kept_images.c.wrapped_key).where(kept_images.c.wrapped_key.is_not(None))
        ).all()


def files(folder):
    return sorted(path.name.removesuffix(".kept") for path in folder.glob("*/*"))


async def test_an_image_is_kept_unreadable_by_itself_and_read_through_the_gateway(images, folder):
    assert await images.keep([kept("p1"), kept("p2")]) == [True, True]
    assert files(folder) == ["p1", "p2"]
    assert all(b"nobody" not in path.read_bytes() for path in folder.glob("*/*"))
    assert await images.read("p1") == IMAGE
    assert await images.read("unknown") is None


async def test_nothing_is_made_before_the_first_image(images, folder, tmp_path):
    assert await images.read("p1") is None
    assert not folder.exists()
    assert not (tmp_path / "secrets").exists()


async def test_without_the_key_file_an_image_is_unreadable(
    images, engine, writer, folder, tmp_path
):
    await images.keep([kept("p1")])
    (tmp_path / "secrets" / "image_key").unlink()
    stolen = KeptImages(str(folder), SecretFiles(tmp_path / "secrets", made=True), engine, writer)
    with pytest.raises(UnreadableImageError):
        await stolen.read("p1")


async def test_a_deleted_image_is_gone_and_a_copy_of_it_stays_unreadable(images, engine, folder):
    await images.keep([kept("p1"), kept("p2")])
    backup = (folder / "toy" / "p1.kept").read_bytes()
    assert await images.destroy("p1")
    assert not await images.destroy("p1")
    assert files(folder) == ["p2"]
    (folder / "toy" / "p1.kept").write_bytes(backup)
    assert await images.read("p1") is None
    with engine.connect() as connection:
        keys = select(kept_images.c.wrapped_key).where(kept_images.c.prediction_id == "p1")
        assert connection.scalar(keys) is None
    assert await images.read("p2") == IMAGE


async def test_a_store_that_fails_keeps_nothing_and_raises_nothing(images, folder, failures):
    folder.mkdir()
    (folder / "toy").write_bytes(b"a file where a folder should be")
    assert await images.keep([kept("p1")]) == [False]
    assert await images.read("p1") is None
    assert failures == ["keep"]


async def test_of_several_images_those_are_kept_that_could_be_stored(images, folder, failures):
    (folder / "toy" / "p1.kept").mkdir(parents=True)
    assert await images.keep([kept("p1"), kept("p2")]) == [False, True]
    assert await images.read("p2") == IMAGE
    assert failures == ["keep"]


async def test_a_key_file_that_cannot_be_used_keeps_nothing_and_raises_nothing(images, tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "image_key").write_text("no key", "ascii")
    assert await images.keep([kept("p1")]) == [False]


async def test_a_database_that_fails_keeps_nothing_and_raises_nothing(images, writer, failures):
    async def fail(_):
        raise RefusedError(Code.UNAVAILABLE, "service: it cannot write.")

    writer.run = fail
    assert await images.keep([kept("p1"), kept("p2")]) == [False, False]
    assert await images.read("p1") is None
    assert failures == ["keep", "keep"]


async def test_images_whose_time_is_over_are_destroyed(images, engine, folder):
    await images.keep([kept("p1"), kept("p2")])
    change(engine, insert(predictions).values(log_row("p1", 1)))
    change(engine, insert(predictions).values(log_row("p2", 2)))
    assert await images.sweep() == (0, 0)
    over = update(kept_images).where(kept_images.c.prediction_id == "p1").values(expires_at=1)
    change(engine, over)
    assert await images.read("p1") is None
    past = time.time() - HOURS_AGO
    os.utime(folder / "toy" / "p1.kept", (past, past))
    assert await images.sweep() == (1, 1)
    assert files(folder) == ["p2"]


async def test_an_image_without_a_record_or_an_answer_is_removed_once_it_is_old(
    images, engine, folder
):
    await images.keep([kept("unanswered")])
    (folder / "toy" / "unrecorded.kept").write_bytes(b"a process was killed here")
    assert await images.sweep() == (0, 0)
    change(engine, update(kept_images).values(at=1))
    past = time.time() - HOURS_AGO
    for path in folder.glob("*/*"):
        os.utime(path, (past, past))
    assert await images.sweep() == (1, 2)
    assert files(folder) == []


async def test_a_gateway_sweeps_soon_after_its_start_and_goes_on_where_that_fails(
    images, engine, monkeypatch, failures
):
    monkeypatch.setattr(keeper, "FIRST_SWEEP_SECONDS", 0.001)
    monkeypatch.setattr(keeper, "SWEEP_SECONDS", 0.001)
    sweeps = []
    sweep = images.sweep

    async def failing_once():
        sweeps.append("swept")
        if len(sweeps) == 1:
            raise StoreError("not listed: TimeoutError")
        return await sweep()

    monkeypatch.setattr(images, "sweep", failing_once)
    watch = asyncio.create_task(images.watch())
    try:
        await asyncio.sleep(0.05)
        # Nothing was ever kept, and nothing is looked at.
        assert sweeps == []
        await images.keep([kept("p1")])
        change(engine, update(kept_images).values(expires_at=1))
        async with asyncio.timeout(30):
            while left(engine):  # noqa: ASYNC110 - a sweep sets no event
                await asyncio.sleep(0.01)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    assert len(sweeps) > 1
    assert failures == ["sweep"]


async def test_files_that_are_no_kept_images_are_left_alone(images, folder):
    await images.keep([kept("p1")])
    (folder / "toy" / "thesis.doc").write_bytes(b"somebody's only copy")
    past = time.time() - HOURS_AGO
    os.utime(folder / "toy" / "thesis.doc", (past, past))
    assert await images.sweep() == (0, 0)
    assert files(folder) == ["p1", "thesis.doc"]


async def test_after_a_rewrap_the_old_key_is_not_needed(images, engine, writer, folder, tmp_path):
    await images.keep([kept("p1"), kept("p2")])
    file = tmp_path / "secrets" / "image_key"
    old = file.read_text("ascii")
    file.write_text("ab" * 32 + "\n" + old, "ascii")
    again = KeptImages(str(folder), SecretFiles(file.parent, made=False), engine, writer)
    assert await again.rewrap() == 2
    assert await again.rewrap() == 0
    file.write_text("ab" * 32, "ascii")
    alone = KeptImages(str(folder), SecretFiles(file.parent, made=False), engine, writer)
    assert [await alone.read(name) for name in ("p1", "p2")] == [IMAGE, IMAGE]


async def test_destroyed_keys_are_overwritten_in_the_file_of_the_database(images, engine):
    names = [f"p{number}" for number in range(40)]
    await images.keep([kept(name) for name in names])
    with engine.connect() as connection:
        statement = select(kept_images.c.prediction_id, kept_images.c.wrapped_key)
        keys = {row.prediction_id: row.wrapped_key for row in connection.execute(statement)}
    for name in names[1:]:
        await images.destroy(name)
    with sqlite3.connect(engine.url.database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = Path(engine.url.database).read_bytes()  # noqa: ASYNC240 - a test's own file
    assert [name for name, key in keys.items() if key in content] == ["p0"]
