import asyncio
import tracemalloc
from pathlib import Path

import pytest
from secondopinion import UnreachableError
from secondopinion._outcome import Outcome, answer_or_failure
from secondopinion._workers import for_each, in_order


def outcomes_of(ask):
    """Work that keeps the error of one photo, as a run does."""

    async def work(photo):
        return Outcome(photo, await answer_or_failure(ask(photo)))

    return work


PHOTOS = [Path(f"{index}.jpg") for index in range(20)]


def test_the_bytes_of_photos_that_failed_are_not_kept():
    async def fail(photo):
        content = bytearray(1_000_000)
        raise OSError(str(photo)) from ValueError(content)

    outcomes = []
    tracemalloc.start()
    asyncio.run(in_order(outcomes_of(fail), PHOTOS, 4, outcomes.append))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(outcomes) == len(PHOTOS)
    assert kept < 2_000_000


def test_a_photo_is_taken_up_only_when_a_place_is_free():
    taken, done = [], []

    def photos():
        for photo in PHOTOS:
            taken.append(photo)
            yield photo

    async def fail(photo):
        assert len(taken) - len(done) <= 3
        await asyncio.sleep(0)
        done.append(photo)
        raise OSError("none")

    asyncio.run(in_order(outcomes_of(fail), photos(), 3, lambda outcome: None))
    assert len(done) == len(PHOTOS)


def test_an_unreachable_service_ends_the_run_and_what_was_done_is_delivered():
    async def ask(photo):
        if photo == PHOTOS[1]:
            await asyncio.sleep(0.05)
            raise UnreachableError("gone", "http://127.0.0.1:9")
        if photo == PHOTOS[3]:
            await asyncio.sleep(5)
        raise OSError(str(photo))

    delivered = []
    with pytest.raises(UnreachableError):
        asyncio.run(in_order(outcomes_of(ask), PHOTOS[:4], 3, delivered.append))
    assert [outcome.file for outcome in delivered] == [PHOTOS[0], PHOTOS[2]]


def test_without_an_order_nothing_waits_for_a_slow_one():
    async def work(photo):
        await asyncio.sleep(0.1 if photo == PHOTOS[0] else 0)
        return photo

    delivered = []
    asyncio.run(for_each(work, PHOTOS, 2, delivered.append))
    assert delivered[-1] == PHOTOS[0]
    assert sorted(delivered) == sorted(PHOTOS)
