"""ApiKeys, places, deadlines and the end, over gRPC."""

import asyncio

import grpc
import pytest
from structlog.testing import capture_logs
from tritonclient.utils import InferenceServerException

from gateway.identity.api_keys import hash_key
from tests.unit.gateway.asking import assert_refused, images, requests
from tests.unit.gateway.samples import JPEG
from tests.unit.gateway.toy_triton import forever

pytestmark = pytest.mark.anyio

KEY = "correct-horse-battery"


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - gRPC sets no event
            await asyncio.sleep(0.01)


async def test_a_key_is_asked_for_where_keys_are_configured(open_grpc, triton, tmp_path):
    path = tmp_path / "keys"
    path.write_text(hash_key("clinic", KEY), "utf-8")
    grpc_client = await open_grpc(api_keys_file=path)
    for headers in (None, {"x-api-key": "guess"}):
        for call in (
            grpc_client.infer("oral_cancer", images(JPEG), headers=headers),
            grpc_client.get_model_metadata("oral_cancer", headers=headers),
            grpc_client.get_model_config("oral_cancer", headers=headers),
            grpc_client.get_inference_statistics("oral_cancer", headers=headers),
            grpc_client.get_model_repository_index(headers=headers),
            grpc_client.get_server_metadata(headers=headers),
        ):
            await assert_refused(call, "UNAUTHENTICATED", "unauthorized")
    assert triton.calls == []
    assert await grpc_client.is_server_live()
    assert await grpc_client.is_server_ready()
    assert await grpc_client.is_model_ready("oral_cancer")
    with capture_logs() as lines:
        await grpc_client.infer("oral_cancer", images(JPEG), headers={"x-api-key": KEY})
    assert requests(lines)[0]["caller"] == "clinic"
    described = await grpc_client.get_server_metadata(headers={"x-api-key": KEY})
    assert described.name == "second-opinion"


async def test_requests_beyond_the_limit_are_refused_at_once(open_grpc, triton):
    grpc_client = await open_grpc(max_in_flight=1, deadline_seconds=0.5)
    triton.rules.append(forever)
    first = asyncio.create_task(grpc_client.infer("oral_cancer", images(JPEG)))
    await until(lambda: triton.now)
    await assert_refused(
        grpc_client.infer("oral_cancer", images(JPEG)), "RESOURCE_EXHAUSTED", "busy"
    )
    await assert_refused(first, "DEADLINE_EXCEEDED", "deadline")


async def test_bytes_beyond_the_limit_are_refused(open_grpc):
    grpc_client = await open_grpc(max_in_flight_bytes=1000, batch_bytes=1000)
    await grpc_client.infer("oral_cancer", images(JPEG))
    call = grpc_client.infer("oral_cancer", images(JPEG + bytes(1000)))
    await assert_refused(call, "RESOURCE_EXHAUSTED", "busy")


async def test_a_message_larger_than_a_batch_is_not_taken_in(open_grpc, triton):
    grpc_client = await open_grpc(batch_bytes=1000)
    with capture_logs() as lines, pytest.raises(InferenceServerException, match="larger than max"):
        await grpc_client.infer("oral_cancer", images(JPEG + bytes(100_000)))
    await until(lambda: requests(lines))
    assert requests(lines)[0]["outcome"] in {"body_too_large", "gone"}
    await grpc_client.infer("oral_cancer", images(JPEG))
    assert triton.calls == [1]


async def test_a_message_that_never_comes_meets_the_deadline(open_grpc):
    grpc_client = await open_grpc(deadline_seconds=0.1)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_client.port}") as channel:
        call = channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")()
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await call.details()).startswith("[deadline] request: it came too slowly")


async def test_the_parameter_timeout_is_a_deadline(open_grpc, triton):
    grpc_client = await open_grpc()
    done = triton.hold()
    call = grpc_client.infer("oral_cancer", images(JPEG), timeout=200_000)
    await assert_refused(call, "DEADLINE_EXCEEDED", "deadline")
    assert (triton.now, triton.cancelled) == (1, 0)
    done.set()
    await until(lambda: not triton.now)


@pytest.mark.parametrize("leave", ["cancels", "has a deadline"])
async def test_whoever_leaves_cancels_nothing_and_the_work_keeps_its_place(
    open_grpc, triton, leave
):
    grpc_client = await open_grpc(max_in_flight=1)
    done = triton.hold()
    seconds = 1 if leave == "has a deadline" else None
    with capture_logs() as lines:
        call = asyncio.create_task(
            grpc_client.infer("oral_cancer", images(JPEG), client_timeout=seconds)
        )
        await until(lambda: triton.now)
        if leave == "cancels":
            call.cancel()
        with pytest.raises((asyncio.CancelledError, InferenceServerException)):
            await call
        await until(lambda: requests(lines))
    assert requests(lines)[0]["outcome"] in {"gone", "deadline"}
    assert (triton.now, triton.cancelled) == (1, 0)
    await assert_refused(
        grpc_client.infer("oral_cancer", images(JPEG)), "RESOURCE_EXHAUSTED", "busy"
    )
    done.set()
    await until(lambda: not triton.now)
    await asyncio.sleep(0.05)
    await grpc_client.infer("oral_cancer", images(JPEG))
    assert triton.cancelled == 0


async def test_the_end_lets_calls_in_flight_finish_and_takes_no_new_ones(open_grpc, triton):
    grpc_client = await open_grpc()
    done = triton.hold()
    first = asyncio.create_task(grpc_client.infer("oral_cancer", images(JPEG)))
    await until(lambda: triton.now)
    closing = asyncio.create_task(grpc_client.http._transport.app.state.grpc_server.close())
    await asyncio.sleep(0.1)
    with pytest.raises(InferenceServerException) as caught:
        await grpc_client.infer("oral_cancer", images(JPEG))
    assert caught.value.status() == "StatusCode.UNAVAILABLE"
    assert not closing.done()
    done.set()
    assert (await first).get_response().model_name == "oral_cancer"
    await closing
    assert triton.cancelled == 0


async def test_the_end_waits_no_longer_than_its_patience(open_grpc, triton):
    grpc_client = await open_grpc(shutdown_seconds=0)
    triton.rules.append(forever)
    first = asyncio.create_task(grpc_client.infer("oral_cancer", images(JPEG)))
    await until(lambda: triton.now)
    async with asyncio.timeout(3):
        await grpc_client.http._transport.app.state.grpc_server.close()
        with pytest.raises(InferenceServerException):
            await first
    assert triton.cancelled == 0
