"""The time within which an answer is wanted: the pipeline's, or what the caller asks for."""

import asyncio

import pytest
from tritonclient.utils import InferenceServerException

from gateway.core.request import respond_within_of
from gateway.errors import Code, RefusedError
from tests.unit.gateway.asking import images
from tests.unit.gateway.samples import JPEG, RAW, assert_problem, files

pytestmark = pytest.mark.anyio
URL = "/api/v1/predict"


async def ask(client, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(URL, content=JPEG, headers=RAW | named)


async def full(client, triton):
    """Four requests under way at a pipeline that answers an image in a tenth of a second."""

    async def pause(_image, _parameters):
        await asyncio.sleep(0.1)

    triton.rules.append(pause)
    for _ in range(6):
        assert (await ask(client)).status_code == 200
    gate = triton.hold()
    tasks = [asyncio.create_task(ask(client)) for _ in range(4)]
    while triton.now < 1:  # noqa: ASYNC110 - gRPC sets no event
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    return gate, tasks


async def test_who_would_be_answered_too_late_is_refused_and_who_has_time_is_not(start, triton):
    client = await start(triton_calls=1, respond_within_ms=300, caller_share=1)
    gate, tasks = await full(client, triton)
    refused = await ask(client)
    assert_problem(refused, 429, "busy")
    assert int(refused.headers["retry-after"]) >= 1
    assert "X-Respond-Within-Ms" in refused.json()["detail"]
    patient = asyncio.create_task(ask(client, x_respond_within_ms="20000"))
    batch = asyncio.create_task(client.post(f"{URL}/batch", files=files(JPEG, JPEG)))
    await asyncio.sleep(0.1)
    assert not patient.done()
    assert not batch.done()
    gate.set()
    answers = await asyncio.gather(patient, batch, *tasks)
    assert [answer.status_code for answer in answers] == [200] * 6
    assert 'reason="wait"' in (await client.get("/metrics")).text


async def test_no_caller_gets_more_time_than_the_gateway_has(start, triton):
    limits = {"max_wait_seconds": 0.3, "respond_within_ms": 100}
    client = await start(triton_calls=1, caller_share=1, **limits)
    gate, tasks = await full(client, triton)
    assert_problem(await ask(client, x_respond_within_ms="86400000"), 429, "busy")
    gate.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    "said", ["0", "-1", "", " ", "1.5", "1e3", "soon", "86400001", "²", "9" * 30]
)
async def test_a_time_that_is_none_is_refused(client, said):
    with pytest.raises(RefusedError) as caught:
        respond_within_of(said)
    assert caught.value.code is Code.PARAMETER_INVALID
    if said.isascii():
        problem = assert_problem(
            await ask(client, x_respond_within_ms=said), 422, "parameter_invalid"
        )
        assert problem["detail"].startswith("X-Respond-Within-Ms: ")


def test_milliseconds_become_seconds():
    assert respond_within_of(None) is None
    assert respond_within_of(" 1500 ") == 1.5


async def test_the_facts_of_a_pipeline_have_the_time_that_holds_here(start):
    client = await start(respond_within_ms=None)
    facts = (await client.get("/api/v1/pipelines/oral_cancer")).json()
    assert facts["respond_within_ms"] == 1000
    client = await start(respond_within_ms=700)
    facts = (await client.get("/api/v1/pipelines/oral_cancer")).json()
    assert facts["respond_within_ms"] == 700


async def test_calls_over_grpc_ask_in_their_metadata(open_grpc, triton):
    client = await open_grpc(triton_calls=1, respond_within_ms=300, caller_share=1)
    gate, tasks = await full(client.http, triton)

    async def infer(**headers):
        return await client.infer("oral_cancer", images(JPEG), headers=headers)

    with pytest.raises(InferenceServerException) as caught:
        await infer()
    assert "RESOURCE_EXHAUSTED" in str(caught.value.status())
    with pytest.raises(InferenceServerException, match="X-Respond-Within-Ms"):
        await infer(**{"x-respond-within-ms": "soon"})
    patient = asyncio.create_task(infer(**{"x-respond-within-ms": "20000"}))
    await asyncio.sleep(0.1)
    assert not patient.done()
    gate.set()
    await asyncio.gather(patient, *tasks)
