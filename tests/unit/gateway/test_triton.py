"""The channel to Triton, where one name stands for several."""

import pytest

from gateway.triton import Triton
from tests.unit.gateway.toy_triton import ToyTriton, running

pytestmark = pytest.mark.anyio
ASKED = 8


async def test_several_tritons_behind_one_name_are_asked_in_turns():
    async with running(ToyTriton()) as one, running(ToyTriton()) as other:
        triton = Triton(f"ipv4:127.0.0.1:{one.port},127.0.0.1:{other.port}")
        triton.open()
        # The first calls find the connections of the second one still on their way.
        while not (one.calls and other.calls):
            await triton.infer("oral_cancer", [b"image"], {}, 5)
        one.calls.clear()
        other.calls.clear()
        for _ in range(ASKED):
            await triton.infer("oral_cancer", [b"image"], {}, 5)
        assert len(one.calls) == len(other.calls) == ASKED // 2
        await triton.close()
