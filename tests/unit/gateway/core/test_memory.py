import asyncio

import pytest

from gateway.core import memory

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


async def test_memory_that_became_free_is_given_back(monkeypatch):
    monkeypatch.setattr(memory, "_SECONDS", 0.02)
    giving = asyncio.create_task(memory.give_back())
    await asyncio.sleep(0)
    images = [b"x" * 100_000 for _ in range(2000)]
    # The last one stays above what is free, so that the allocator alone gives nothing back.
    last, grown = images[-1], memory._resident()
    images.clear()
    assert grown - memory._resident() < 50 * MIB
    async with asyncio.timeout(20):
        while grown - memory._resident() < 100 * MIB:  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.02)
    assert len(last) == 100_000
    giving.cancel()
