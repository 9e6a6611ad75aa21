"""ApiKeys, places, deadlines and the end, over gRPC."""

import asyncio
import contextlib

import grpc
import pytest
from structlog.testing import capture_logs
from tritonclient.utils import InferenceServerException

from gateway.core.request import Deadline
from gateway.grpc.reception import Reception
from tests.unit.gateway.asking import assert_refused, images, requests
from tests.unit.gateway.samples import JPEG, RAW
from tests.unit.gateway.toy_triton import forever

pytestmark = pytest.mark.anyio


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - gRPC sets no event
            await asyncio.sleep(0.01)


async def test_a_key_is_asked_for_where_callers_must_say_who_they_are(open_grpc, triton, new_key):
    key = new_key()
    grpc_client = await open_grpc(auth="required")
    for headers in (None, {"x-api-key": "guess"}):
        for call in (
            grpc_client.infer("oral_cancer", images(JPEG), headers=headers),
            grpc_client.get_model_metadata("oral_cancer", headers=headers),
            grpc_client.get_model_config("oral_cancer", headers=headers),
            grpc_client.get_inference_statistics("oral_cancer", headers=headers),
            grpc_client.get_model_repository_index(headers=headers),
            grpc_client.get_server_metadata(headers=headers),
            grpc_client.is_model_ready("oral_cancer", headers=headers),
        ):
            await assert_refused(call, "UNAUTHENTICATED", "unauthorized")
    assert triton.calls == []
    assert await grpc_client.is_server_live()
    assert await grpc_client.is_server_ready()
    assert await grpc_client.is_model_ready("oral_cancer", headers={"x-api-key": key})
    with capture_logs() as lines:
        await grpc_client.infer("oral_cancer", images(JPEG), headers={"x-api-key": key})
    assert requests(lines)[0]["caller"] == "clinic"
    described = await grpc_client.get_server_metadata(headers={"x-api-key": key})
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


async def test_a_message_larger_than_the_limit_is_not_taken_in(open_grpc, triton):
    grpc_client = await open_grpc(grpc_message_bytes=1000)
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


MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"


@contextlib.asynccontextmanager
async def silent(client, count, method=MODEL_INFER, headers=()):
    """Calls of one connection whose message does not come; gives them."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.port}", options=options) as channel:
        yield [channel.stream_unary(method)(metadata=headers) for _ in range(count)]


async def test_calls_without_a_message_keep_nobody_waiting_and_end_soon(open_grpc):
    grpc_client = await open_grpc(max_in_flight=8)
    reception = grpc_client.reception
    async with silent(grpc_client, 60) as calls:
        await until(lambda: len(reception._waiting) >= 50)
        # Of another connection, and then of another caller.
        await grpc_client.infer("oral_cancer", images(JPEG))
        response = await grpc_client.http.post("/api/v1/predict", content=JPEG, headers=RAW)
        assert response.status_code == 200
        reception.seconds = 0.05
        await grpc_client.is_model_ready("oral_cancer")
        for call in calls:
            call.cancel()


async def test_a_call_without_a_message_is_refused_after_its_own_time(open_grpc):
    grpc_client = await open_grpc(grpc_message_seconds=0.1)
    async with silent(grpc_client, 5) as calls:
        codes = [(await call.code()).name for call in calls]
        details = {(await call.details()).partition(" ")[0] for call in calls}
    assert set(codes) == {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}
    assert details == {"[deadline]", "[busy]"}
    await grpc_client.infer("oral_cancer", images(JPEG))


async def test_silent_calls_of_one_key_leave_another_its_turns(open_grpc, new_key):
    greedy, clinic = new_key("greedy"), new_key("clinic")
    grpc_client = await open_grpc(auth="required", max_in_flight=8)
    reception = grpc_client.reception
    headers = (("x-api-key", greedy),)
    async with contextlib.AsyncExitStack() as connections:
        for _ in range(4):
            await connections.enter_async_context(silent(grpc_client, 10, headers=headers))
        await until(lambda: len(reception._waiting) == 40 - reception._of_caller)
        for _ in range(3):
            headers = {"x-api-key": clinic}
            await grpc_client.infer("oral_cancer", images(JPEG), headers=headers)


@pytest.mark.parametrize("method", ["Check", "Watch"])
async def test_silent_probes_keep_no_image_waiting(open_grpc, method):
    grpc_client = await open_grpc()
    async with silent(grpc_client, 50, f"/grpc.health.v1.Health/{method}"):
        await asyncio.sleep(0.1)
        await grpc_client.infer("oral_cancer", images(JPEG))
        assert await grpc_client.is_server_live()


async def test_a_turn_that_is_given_up_is_given_on():
    reception = Reception(2, 10, 5)
    held = reception.turn("a", "1", Deadline.after(5))
    await held.__aenter__()
    waiting = [
        asyncio.create_task(reception.turn("a", "1", Deadline.after(5)).__aenter__())
        for _ in range(2)
    ]
    await asyncio.sleep(0)
    await held.__aexit__(None, None, None)
    # It has been given the turn, and does not take it.
    waiting[0].cancel()
    assert await waiting[1] == 10
    assert (reception._taken, reception._waiting) == (1, [])


async def test_a_compressed_message_is_read(open_grpc, triton):
    grpc_client = await open_grpc()
    await grpc_client.infer("oral_cancer", images(JPEG), compression_algorithm="gzip")
    assert triton.last.raw_input_contents[0].endswith(JPEG)


@pytest.mark.parametrize("size", [30_000_000, 100_000_000])
async def test_a_message_that_inflates_beyond_all_measure_is_refused_before_it_has(
    open_grpc, triton, size
):
    grpc_client = await open_grpc()
    call = grpc_client.infer("oral_cancer", images(bytes(size)), compression_algorithm="gzip")
    message = await assert_refused(call, "INVALID_ARGUMENT", "body_too_large")
    assert "inflates" in message
    assert triton.calls == []


async def test_another_compression_is_refused(open_grpc):
    grpc_client = await open_grpc()
    with pytest.raises(InferenceServerException, match="disabled") as caught:
        await grpc_client.infer(
            "oral_cancer", images(JPEG + bytes(10_000)), compression_algorithm="deflate"
        )
    assert caught.value.status() == "StatusCode.UNIMPLEMENTED"


def message(*fields):
    """A message of fields, each of a number and its bytes."""
    parts = []
    for number, content in fields:
        size, length = len(content), b""
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        parts.append(bytes([number << 3 | 2]) + length + bytes([size]) + content)
    return b"".join(parts)


MANY = 40_000
EMPTY_IMAGES = message((5, message(*[(8, b"")] * MANY)))


@pytest.mark.parametrize(
    "raw",
    [
        message((5, EMPTY_IMAGES)),
        message(*[(5, b"")] * MANY),
        message(*[(6, b"")] * MANY),
        message(*[(7, b"")] * MANY),
        message((5, message((3, b"\1" * 2 * MANY)))),
        message((5, message((5, message((1, b"\1" * 2 * MANY)))))),
        message((4, message((1, b"x" * 2 * MANY)))),
        message((1, b"x" * 2 * MANY)),
    ],
    ids=["elements", "inputs", "outputs", "raw", "shape", "contents", "parameter", "name"],
)
async def test_a_message_of_many_parts_is_refused_before_it_is_built(grpc_client, raw):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_client.port}") as channel:
        call = channel.unary_unary(MODEL_INFER)(raw)
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "besides its images" in await call.details()


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
