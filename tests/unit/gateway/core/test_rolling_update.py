"""A rolling update: of several Tritons behind one name, some have a new release already."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from tests.unit.gateway.samples import JPEG, RAW, files
from tests.unit.gateway.several_tritons import gateway_before
from tests.unit.gateway.toy_triton import ToyTriton, release_of, running

pytestmark = pytest.mark.anyio


async def ask(client):
    return await client.post("/api/v1/predict", content=JPEG, headers=RAW)


@pytest.fixture(params=[(2, 0, 1), (2, 1, 3), (3, 1, 3), (5, 0, 1), (5, 1, 2)])
async def replicas(request):
    """So many Tritons, with so many models listed before and after the pipeline.

    These numbers decide which Triton a refresh of the catalogue asks about the pipeline.
    """
    count, before, after = request.param
    async with AsyncExitStack() as stack:
        toys = [await stack.enter_async_context(running(ToyTriton())) for _ in range(count)]
        for toy in toys:
            toy.models_before = tuple(f"before_{n}" for n in range(before))
            toy.models_after = tuple(f"oral_cancer_{n}" for n in range(after))
        yield toys


@pytest.fixture
async def client(replicas):
    async with gateway_before(toy.port for toy in replicas) as client:
        # Connected to all, and each shows the old release.
        while not all(toy.calls for toy in replicas):
            assert (await ask(client)).status_code == 200
        yield client


@pytest.mark.parametrize("together", [1, 8])
async def test_no_answer_of_a_release_that_one_triton_has_already_is_lost(
    client, replicas, together
):
    older, newest = replicas[0].spec, replicas[-1]
    newer = older.model_copy(update={"release": "2"})
    newest.serve(newer)
    newest.calls.clear()
    releases = Counter()
    while not newest.calls or releases.total() < 4 * len(replicas):
        answers = await asyncio.gather(*(ask(client) for _ in range(together)))
        assert {answer.status_code for answer in answers} == {200}, answers[0].text
        releases.update(answer.json()["release"] for answer in answers)
    assert set(releases) == {release_of(older), release_of(newer)}


async def test_a_batch_is_answered_by_one_release_and_loses_no_image(client, replicas):
    replicas[-1].serve(replicas[0].spec.model_copy(update={"release": "2"}))
    for _ in range(5):
        response = await client.post("/api/v1/predict/batch", files=files(*[JPEG] * 20))
        assert response.json()["summary"]["failed"] == 0, response.text
