"""The idempotency key in the metadata of a call."""

import asyncio

import grpc
import pytest
from sqlalchemy import func, select
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

from database.engine import open_engine
from database.tables import predictions
from tests.unit.gateway.samples import JPEG, PNG
from tests.unit.gateway.toy_answers import encoded
from tests.unit.gateway.toy_triton import Failure

pytestmark = pytest.mark.anyio
KEY = (("idempotency-key", "11112222-3333"),)
UNDECODABLE = Failure(grpc.StatusCode.INVALID_ARGUMENT, "[image_undecodable] It is cut. Send it.")


def question(image=JPEG, **parameters):
    request = pb.ModelInferRequest(model_name="oral_cancer", id="mine")
    request.inputs.add(name="image", datatype="BYTES", shape=[1, 1])
    request.raw_input_contents.append(encoded([image]))
    for name, value in parameters.items():
        request.parameters[name].string_param = value
    return request


@pytest.fixture
async def ask(open_grpc, sqlite_url):
    """Asks over a channel; gives status, message, and trailing metadata."""
    client = await open_grpc(database_url=sqlite_url)

    async def asked(request, metadata=KEY):
        call = stub.ModelInfer(request, metadata=metadata)
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details(), dict(error.trailing_metadata())
        return "OK", answer.SerializeToString(), dict(await call.trailing_metadata())

    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        asked.stub = stub
        yield asked


def rows(url):
    engine = open_engine(url)
    with engine.connect() as connection:
        found = connection.scalar(select(func.count()).select_from(predictions))
    engine.dispose()
    return found


def refusals(url):
    engine = open_engine(url)
    with engine.connect() as connection:
        found = connection.scalars(select(predictions.c.refusal).order_by(predictions.c.position))
        codes = list(found)
    engine.dispose()
    return codes


async def test_a_call_that_is_made_again_gets_the_same_answer(ask, triton, sqlite_url):
    status, answer, trailing = await ask(question())
    assert status == "OK"
    assert "idempotency-replayed" not in trailing
    again = await ask(question())
    assert again[:2] == (status, answer)
    assert again[2]["idempotency-replayed"] == "true"
    assert again[2]["x-request-id"] != trailing["x-request-id"]
    assert len(triton.seen) == 1
    assert rows(sqlite_url) == 1


@pytest.mark.parametrize("other", [question(PNG), question(threshold="0.4")])
async def test_a_key_with_another_image_or_parameters_is_refused(ask, triton, other):
    await ask(question())
    status, message, _ = await ask(other)
    assert status == "INVALID_ARGUMENT"
    assert message.startswith("[idempotency_mismatch] ")
    assert len(triton.seen) == 1


async def test_a_call_in_flight_is_aborted_with_the_time_to_wait(ask, triton):
    done = triton.hold()
    first = asyncio.create_task(ask(question()))
    while not triton.now:  # noqa: ASYNC110 - gRPC sets no event
        await asyncio.sleep(0.01)
    status, message, trailing = await ask(question())
    assert (status, trailing["retry-after"]) == ("ABORTED", "1")
    assert message.startswith("[idempotency_in_flight] ")
    done.set()
    assert (await first)[0] == "OK"


async def test_a_refusal_of_the_image_is_stored(ask, triton):
    triton.failures.append(UNDECODABLE)
    status, message, _ = await ask(question())
    assert status == "INVALID_ARGUMENT"
    assert message.startswith("[image_undecodable] ")
    again = await ask(question())
    assert again[:2] == (status, message)
    assert again[2]["idempotency-replayed"] == "true"
    assert len(triton.seen) == 1


async def test_a_refusal_that_is_asked_again_is_one_row_of_its_caller(
    open_grpc, triton, new_key, sqlite_url
):
    client = await open_grpc(auth="required")
    own = (*KEY, ("x-api-key", new_key("ward")))
    triton.failures.append(UNDECODABLE)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for metadata in (own, own, (*own, KEY[0])):
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.ModelInfer(question(), metadata=metadata)
    async with asyncio.timeout(10):
        while len(found := refusals(sqlite_url)) < 2:  # noqa: ASYNC110 - nobody waits for them
            await asyncio.sleep(0.05)
    assert found == ["image_undecodable", "parameter_invalid"]


async def test_who_cancels_a_call_finds_the_answer_when_coming_again(ask, triton, sqlite_url):
    done = triton.hold()
    call = ask.stub.ModelInfer(question(), metadata=KEY)
    while not triton.now:  # noqa: ASYNC110 - gRPC sets no event
        await asyncio.sleep(0.01)
    call.cancel()
    assert (await ask(question()))[0] == "ABORTED"
    done.set()
    status, _, trailing = await ask(question())
    while status == "ABORTED":
        status, _, trailing = await ask(question())
    assert (status, trailing["idempotency-replayed"]) == ("OK", "true")
    assert len(triton.seen) == 1
    assert rows(sqlite_url) == 1


async def test_a_key_that_is_none_is_refused(ask, triton):
    status, message, _ = await ask(question(), (("idempotency-key", "a"), ("idempotency-key", "b")))
    assert status == "INVALID_ARGUMENT"
    assert message.startswith("[parameter_invalid] Idempotency-Key: ")
    assert triton.seen == []
