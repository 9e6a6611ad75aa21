"""Over gRPC, as stock clients ask: the same answers, counters and log lines as over HTTP."""

import asyncio
import json

import grpc
import numpy as np
import pytest
import tritonclient.grpc as stock
from structlog.testing import capture_logs
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.app import create_app
from gateway.grpc.server import GrpcServerError
from gateway.settings import Settings
from pipelines.ports import Ports
from pipelines.protocol import Output
from tests.unit.gateway.asking import assert_refused, images, requests
from tests.unit.gateway.samples import JPEG, PNG, RAW
from tests.unit.gateway.toy_triton import SPEC, release_of

pytestmark = pytest.mark.anyio


async def test_a_stock_client_gets_tritons_own_answer(grpc_client):
    result = await grpc_client.infer("oral_cancer", images(JPEG), request_id="mine")
    http = (await grpc_client.http.post("/api/v1/predict", content=JPEG, headers=RAW)).json()
    answer = result.get_response()
    assert (answer.model_name, answer.id) == ("oral_cancer", "mine")
    assert {output.name for output in answer.outputs} == set(Output)
    raw = dict(zip((o.name for o in answer.outputs), answer.raw_output_contents, strict=True))
    assert np.frombuffer(raw["confidence"], "<f4")[0] == np.float32(http["confidence"])
    assert raw["release"][4:].decode() == http["release"]


async def test_the_blocking_client_works_too(grpc_client):
    def ask():
        with stock.InferenceServerClient(f"127.0.0.1:{grpc_client.port}") as client:
            assert client.is_server_live()
            assert client.is_server_ready()
            return client.infer("oral_cancer", images(JPEG)).get_response().model_name

    assert await asyncio.to_thread(ask) == "oral_cancer"


async def test_parameters_reach_triton_as_they_are(grpc_client, triton):
    chosen = {"threshold": "0.4", "member": "vgg16"}
    await grpc_client.infer("oral_cancer", images(JPEG), parameters=chosen)
    sent = {name: triton.last.parameters[name].string_param for name in chosen}
    assert sent == chosen


@pytest.mark.parametrize(
    ("own", "client_timeout", "expected"),
    [(None, None, 7), (2_000_000, None, 2), (9_000_000, None, 7), (0, None, 7), (None, 3, 3)],
)
async def test_the_smallest_timeout_reaches_triton(
    open_grpc, triton, own, client_timeout, expected
):
    grpc_client = await open_grpc(deadline_seconds=7)
    await grpc_client.infer("oral_cancer", images(JPEG), timeout=own, client_timeout=client_timeout)
    seconds = triton.last.parameters["timeout"].int64_param / 1e6
    # gRPC rounds deadlines up on their way.
    assert expected - 1 < seconds < expected + 0.1


async def test_health_is_that_of_http(open_grpc, triton):
    grpc_client = await open_grpc()
    assert await grpc_client.is_server_live()
    assert await grpc_client.is_server_ready()
    assert await grpc_client.is_model_ready("oral_cancer", "1")
    await assert_refused(grpc_client.is_model_ready("vgg16"), "NOT_FOUND", "pipeline_unknown")
    grpc_client.http._transport.app.state.readiness.draining = True
    assert await grpc_client.is_server_live()
    assert not await grpc_client.is_server_ready()
    assert not await grpc_client.is_model_ready("oral_cancer")


async def test_without_triton_nothing_is_ready(open_grpc, triton):
    triton.port = 1
    grpc_client = await open_grpc(settled=False)
    assert await grpc_client.is_server_live()
    assert not await grpc_client.is_server_ready()
    assert not await grpc_client.is_model_ready("oral_cancer")
    call = grpc_client.infer("oral_cancer", images(JPEG))
    await assert_refused(call, "UNAVAILABLE", "unavailable")


async def test_metadata_of_a_model_are_tritons(grpc_client):
    described = await grpc_client.get_model_metadata("oral_cancer")
    assert (described.name, list(described.versions)) == ("oral_cancer", ["1"])


async def test_an_answer_is_counted_and_logged_as_over_http(grpc_client):
    with capture_logs() as lines:
        headers = {"x-request-id": "ward-7"}
        await grpc_client.infer("oral_cancer", images(JPEG), headers=headers, request_id="Jane")
        await grpc_client.is_server_live()
    (line,) = requests(lines)
    assert (line["request_id"], line["route"], line["pipeline"]) == ("ward-7", "grpc", SPEC.name)
    assert (line["outcome"], line["format"], line["bytes"]) == ("ok", "jpeg", len(JPEG))
    assert {"receive_ms", "infer_ms", "total_ms"} <= set(line)
    assert "jane" not in json.dumps(lines).lower()
    text = (await grpc_client.http.get("/metrics")).text
    labels = f'pipeline="oral_cancer",release="{release_of(SPEC)}"'
    for sample in (
        'gateway_requests_total{outcome="ok",pipeline="oral_cancer",route="grpc"} 1.0',
        'gateway_request_seconds_count{pipeline="oral_cancer"} 1.0',
        'gateway_requests_in_flight{pipeline="oral_cancer"} 0.0',
        'gateway_images_total{format="jpeg"} 1.0',
        "gateway_image_bytes_count 1.0",
        f'prediction_confidence_count{{class="cancer",{labels}}} 1.0',
        f"prediction_disagreement_count{{{labels}}} 1.0",
        f'prediction_uncertainty_total{{level="high",{labels}}} 1.0',
    ):
        assert sample in text
    for stage in ("receive", "infer"):
        name = f'gateway_stage_seconds_count{{pipeline="oral_cancer",stage="{stage}"}}'
        assert f"{name} 1.0" in text


async def test_each_image_of_a_batch_is_counted(grpc_client, triton):
    with capture_logs() as lines:
        result = await grpc_client.infer("oral_cancer", images(JPEG, PNG, JPEG))
    assert triton.calls == [3]
    assert len(result.get_response().raw_output_contents) == len(Output)
    (line,) = requests(lines)
    assert (line["images"], line["bytes"]) == (3, 2 * len(JPEG) + len(PNG))
    text = (await grpc_client.http.get("/metrics")).text
    assert f'release="{release_of(SPEC)}"}} 3.0' in text
    assert 'gateway_images_total{format="jpeg"} 2.0' in text


async def test_a_member_alone_says_nothing_of_the_pipeline(grpc_client):
    await grpc_client.infer("oral_cancer", images(JPEG), parameters={"member": "vgg16"})
    text = (await grpc_client.http.get("/metrics")).text
    assert "prediction_confidence_count" not in text
    assert 'gateway_images_total{format="jpeg"} 1.0' in text


async def test_an_answer_with_a_part_of_the_outputs_is_recorded_like_any_other(grpc_client):
    wanted = [stock.InferRequestedOutput("prediction"), stock.InferRequestedOutput("release")]
    answer = (
        await grpc_client.infer("oral_cancer", images(JPEG, PNG), outputs=wanted)
    ).get_response()
    assert {output.name for output in answer.outputs} == {"prediction", "release"}
    assert len(answer.raw_output_contents) == 2
    labels = f'pipeline="oral_cancer",release="{release_of(SPEC)}"'
    text = (await grpc_client.http.get("/metrics")).text
    assert f'prediction_confidence_count{{class="cancer",{labels}}} 2.0' in text
    assert f'prediction_uncertainty_total{{level="high",{labels}}} 2.0' in text


async def test_an_answer_that_does_not_fit_is_refused_whatever_outputs_are_asked(
    grpc_client, triton
):
    triton.altered[Output.CONFIDENCE] = np.array([np.nan], np.float32)
    wanted = [stock.InferRequestedOutput("prediction")]
    call = grpc_client.infer("oral_cancer", images(JPEG), outputs=wanted)
    await assert_refused(call, "INTERNAL", "model_output")


async def test_images_over_grpc_and_http_that_ask_the_same_share_a_call(open_grpc, triton):
    grpc_client = await open_grpc(triton_calls=1)
    gate = triton.hold()
    first = asyncio.create_task(grpc_client.http.post("/api/v1/predict", content=JPEG, headers=RAW))
    async with asyncio.timeout(5):
        while not triton.now:  # noqa: ASYNC110 - gRPC sets no event
            await asyncio.sleep(0.005)
    calls = [grpc_client.infer("oral_cancer", images(JPEG), request_id=str(n)) for n in range(2)]
    calls.append(grpc_client.infer("oral_cancer", images(JPEG, PNG, JPEG), request_id="many"))
    http = grpc_client.http.post("/api/v1/predict", content=JPEG, headers=RAW)
    waiting = asyncio.gather(first, http, *calls)
    await asyncio.sleep(0.1)
    gate.set()
    _, shared, *over_grpc = await waiting
    assert triton.calls == [1, 6]
    assert shared.status_code == 200
    responses = [answer.get_response() for answer in over_grpc]
    assert [response.id for response in responses] == ["0", "1", "many"]
    one, _, many = ([*response.raw_output_contents] for response in responses)
    assert many == [raw * 3 for raw in one]


async def test_every_answer_has_its_request_id(grpc_client):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_client.port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = stub.ServerLive(service_pb2.ServerLiveRequest(), metadata=(("x-request-id", "a"),))
        await call
        assert dict(await call.trailing_metadata())["x-request-id"] == "a"


async def test_a_taken_port_is_refused_with_its_remedy(grpc_client):
    ports = Ports(gateway_grpc_port=grpc_client.port)
    second = create_app(Settings(ports=ports)).state.grpc_server
    with pytest.raises(GrpcServerError, match=f"127.0.0.1:{grpc_client.port} .*GATEWAY_GRPC_PORT"):
        await second.open()
