"""What the gRPC grpc_client refuses: by a status, a code and a remedy, before or after Triton."""

import struct

import grpc
import pytest
import tritonclient.grpc as stock
from structlog.testing import capture_logs
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.errors import Code, grpc_status_of
from gateway.grpc.server import REMEDIES
from pipelines.protocol import Output, Refusal, refusal
from tests.unit.gateway.asking import assert_refused, images
from tests.unit.gateway.samples import FULL, JPEG, UNAVAILABLE
from tests.unit.gateway.toy_triton import Failure

pytestmark = pytest.mark.anyio

SERVICE = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
ANSWERED = {
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
    "ModelInfer",
}
TIMED_OUT = Failure(grpc.StatusCode.UNAVAILABLE, "Request timeout expired")
DEAD = Failure(grpc.StatusCode.INTERNAL, "Stub process 'p_0_0' is not healthy.")
BROKEN = Failure(grpc.StatusCode.INTERNAL, "secret path")
UNDECODABLE = Failure(
    grpc.StatusCode.INVALID_ARGUMENT,
    refusal(Refusal.IMAGE_UNDECODABLE, "the data end too early. Send the whole."),
)


def test_every_code_has_a_status():
    names = {grpc.StatusCode[grpc_status_of(code)].name for code in Code}
    assert {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED"} < names


def test_every_method_of_the_protocol_is_answered_or_closed():
    assert {method.name for method in SERVICE.methods} == ANSWERED | set(REMEDIES)


@pytest.mark.parametrize("method", REMEDIES)
async def test_a_closed_method_says_what_to_use(grpc_client, method):
    kind = SERVICE.methods_by_name[method].input_type._concrete_class
    async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_client.port}") as channel:
        asked = getattr(service_pb2_grpc.GRPCInferenceServiceStub(channel), method)
        call = asked(iter([kind()])) if method == "ModelStreamInfer" else asked(kind())
        status, details = await call.code(), await call.details()
    assert status is grpc.StatusCode.UNIMPLEMENTED
    assert details == f"[method_not_allowed] {method}: it is not offered here. {REMEDIES[method]}"


@pytest.mark.parametrize("model", ["Jane", "oral_cancer_vgg16", "oral_cancer_decode", ""])
async def test_only_pipelines_can_be_asked(grpc_client, triton, model):
    calls = [
        grpc_client.infer(model, images(JPEG)),
        grpc_client.get_model_metadata(model),
        grpc_client.get_model_config(model),
    ]
    if model:
        calls.append(grpc_client.get_inference_statistics(model))
    for call in calls:
        message = await assert_refused(call, "NOT_FOUND", "pipeline_unknown")
        assert message.endswith("There are: oral_cancer.")
    assert triton.calls == []
    assert "Jane" not in (await grpc_client.http.get("/metrics")).text


def shared():
    tensor = stock.InferInput("image", [1, 1], "BYTES")
    tensor.set_shared_memory("region", 100)
    return [tensor]


def shared_output():
    output = stock.InferRequestedOutput("confidence")
    output.set_shared_memory("region", 100)
    return [output]


def altered(name="image", datatype="BYTES", shape=(1, 1)):
    (tensor,) = images(JPEG)
    tensor._get_tensor().name, tensor._get_tensor().datatype = name, datatype
    return [tensor.set_shape(list(shape))]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"inputs": shared()}, "parameter_invalid"),
        ({"outputs": shared_output()}, "parameter_invalid"),
        ({"outputs": [stock.InferRequestedOutput("confidence", 2)]}, "parameter_invalid"),
        ({"outputs": [stock.InferRequestedOutput("pixels")]}, "parameter_invalid"),
        ({"inputs": []}, "field_missing"),
        ({"inputs": altered(name="pixels")}, "field_missing"),
        ({"inputs": images(JPEG) * 2}, "field_missing"),
        ({"inputs": altered(datatype="UINT8")}, "parameter_invalid"),
        ({"inputs": altered(shape=(1,))}, "parameter_invalid"),
        ({"inputs": altered(shape=(0, 1))}, "parameter_invalid"),
        ({"inputs": altered(shape=(2, 1))}, "malformed_body"),
        ({"inputs": images(*[JPEG] * 17)}, "too_many_files"),
        ({"inputs": images(JPEG + bytes(11_000_000))}, "body_too_large"),
        ({"inputs": images(b"")}, "image_empty"),
        ({"inputs": images(JPEG, b"text")}, "image_format"),
        ({"timeout": -1}, "parameter_invalid"),
        ({"priority": 1}, "parameter_unknown"),
        ({"sequence_id": 1}, "parameter_unknown"),
        ({"parameters": {"cat": "dog"}}, "parameter_unknown"),
    ],
)
async def test_what_is_not_offered_never_reaches_triton(grpc_client, triton, asked, code):
    call = grpc_client.infer("oral_cancer", **({"inputs": images(JPEG)} | asked))
    await assert_refused(call, "INVALID_ARGUMENT", code)
    assert triton.calls == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"model_version": "2"}, "pipeline_unknown"),
        ({"parameters": {"member": "vgg19"}}, "member_unknown"),
    ],
)
async def test_what_there_is_not_is_not_found(grpc_client, asked, code):
    await assert_refused(grpc_client.infer("oral_cancer", images(JPEG), **asked), "NOT_FOUND", code)


@pytest.mark.parametrize("raw", [b"no message", b"\x0a\xff", b""])
async def test_bytes_that_are_no_request_are_refused(grpc_client, raw):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_client.port}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(raw)
        expected = grpc.StatusCode.INVALID_ARGUMENT if raw else grpc.StatusCode.NOT_FOUND
        assert await call.code() is expected


@pytest.mark.parametrize(
    ("failure", "expected", "code"),
    [
        (FULL, "RESOURCE_EXHAUSTED", "busy"),
        (TIMED_OUT, "DEADLINE_EXCEEDED", "deadline"),
        (DEAD, "UNAVAILABLE", "unavailable"),
        (BROKEN, "INTERNAL", "internal"),
        (UNDECODABLE, "INVALID_ARGUMENT", "image_undecodable"),
    ],
)
async def test_tritons_errors_have_the_codes_of_http(grpc_client, triton, failure, expected, code):
    triton.failures += [failure] * 2
    message = await assert_refused(grpc_client.infer("oral_cancer", images(JPEG)), expected, code)
    assert "secret" not in message
    if code == "image_undecodable":
        assert message == "[image_undecodable] image: the data end too early. Send the whole."


async def test_an_unavailable_triton_is_asked_once_more(grpc_client, triton):
    triton.failures.append(UNAVAILABLE)
    await grpc_client.infer("oral_cancer", images(JPEG))
    assert triton.calls == [1, 1]


async def test_whoever_may_try_again_is_told_when(grpc_client, triton):
    triton.failures.append(FULL)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_client.port}") as channel:
        request = service_pb2.ModelInferRequest(model_name="oral_cancer")
        request.inputs.add(name="image", datatype="BYTES", shape=(1, 1))
        request.raw_input_contents.append(struct.pack("<I", len(JPEG)) + JPEG)
        call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(await call.trailing_metadata())["retry-after"] == "1"
    text = (await grpc_client.http.get("/metrics")).text
    assert 'requests_refused_total{pipeline="oral_cancer",reason="triton_queue"} 1.0' in text


async def test_an_answer_that_does_not_fit_its_facts_is_none(grpc_client, triton):
    triton.altered[Output.CONFIDENCE] = [b"text"]
    await assert_refused(grpc_client.infer("oral_cancer", images(JPEG)), "INTERNAL", "model_output")


async def test_an_unexpected_failure_is_told_without_its_text(grpc_client, monkeypatch):
    def explode(*_):
        raise RuntimeError("Jane Doe")

    monkeypatch.setattr("gateway.core.request.sniff", explode)
    with capture_logs() as lines:
        call = grpc_client.infer("oral_cancer", images(JPEG), headers={"x-request-id": "ward-7"})
        message = await assert_refused(call, "INTERNAL", "internal")
    assert message.endswith("request_id: ward-7")
    assert "Jane" not in message + str(lines)
    assert "RuntimeError" in {line.get("error") for line in lines}
