import asyncio
import gc

import grpc
import pytest

from tests.unit.gateway.samples import (
    JPEG,
    RAW,
    assert_problem,
)
from tests.unit.gateway.toy_triton import Failure, forever

pytestmark = pytest.mark.anyio


async def test_requests_beyond_the_limit_are_refused_at_once(start, triton):
    client = await start(max_in_flight=1, deadline_seconds=0.5)
    triton.rules.append(forever)
    first = asyncio.create_task(client.post("/api/v1/predict", content=JPEG, headers=RAW))
    await asyncio.sleep(0.1)
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(response, 429, "busy")
    assert_problem(await first, 504, "deadline")


async def test_a_body_that_comes_too_slowly_meets_the_deadline(start):
    async def slowly():
        yield b"\xff\xd8\xff"
        await asyncio.sleep(3600)

    client = await start(deadline_seconds=0.1, max_in_flight=1)
    for _ in range(2):
        response = await client.post("/api/v1/predict", content=slowly(), headers=RAW)
        assert_problem(response, 504, "deadline")


async def test_work_past_its_deadline_goes_on_in_triton_and_keeps_its_place(start, triton):
    client = await start(deadline_seconds=0.2, max_in_flight=1)
    done = triton.hold()
    late = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(late, 504, "deadline")
    refused = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(refused, 429, "busy")
    assert (triton.now, triton.cancelled) == (1, 0)
    done.set()
    while triton.now:  # noqa: ASYNC110 - gRPC sets no event
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    answer = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert answer.status_code == 200
    assert triton.cancelled == 0


async def test_an_error_for_which_nobody_waits_is_not_reported(start, triton):
    async def fail_late(_image, _parameters):
        await asyncio.sleep(0.2)
        raise Failure(grpc.StatusCode.INTERNAL, "broken")

    client = await start(deadline_seconds=0.1)
    triton.rules.append(fail_late)
    late = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(late, 504, "deadline")
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    await asyncio.sleep(0.3)
    gc.collect()
    assert reported == []


async def test_a_key_is_asked_for_beyond_loopback(start, new_key):
    key = new_key()
    client = await start(host="0.0.0.0")  # noqa: S104
    for target in ("/api/v1/pipelines", "/metrics"):
        assert_problem(await client.get(target), 401, "unauthorized")
        assert_problem(await client.get(target, headers={"X-API-Key": "no"}), 401, "unauthorized")
        for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
            assert (await client.get(target, headers=headers)).status_code == 200
        assert_problem(
            await client.get(target, headers={"Authorization": "Bearer no"}), 401, "unauthorized"
        )
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(response, 401, "unauthorized")
    assert (await client.get("/healthz")).status_code == 200
