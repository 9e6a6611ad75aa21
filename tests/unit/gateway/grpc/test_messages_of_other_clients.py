"""What other gRPC clients than tritonclient send: accepted where it is harmless, else refused."""

from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2

from pipelines.load import load_spec
from pipelines.protocol import COSTLY_APART
from tests.unit.gateway.samples import JPEG
from tests.unit.gateway.toy_answers import encoded

pytestmark = pytest.mark.anyio

MESSAGES = Path(__file__).parents[1] / "kserve"


def asked(model="oral_cancer"):
    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name="image", datatype="BYTES", shape=(1, 1))
    request.raw_input_contents.append(encoded([JPEG]))
    return request


async def ask(client, request):
    raw = request if isinstance(request, bytes) else request.SerializeToString()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.port}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(raw)
        return (await call.code()).name, await call.details()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("priority", {"uint64_param": 0}),
        ("priority", {"int64_param": 0}),
        ("sequence_id", {"int64_param": 0}),
        ("sequence_id", {"string_param": ""}),
        ("sequence_start", {"bool_param": False}),
        ("sequence_end", {"bool_param": False}),
        ("binary_data_output", {"bool_param": True}),
        ("timeout", {"uint64_param": 2_000_000}),
    ],
)
async def test_a_parameter_that_asks_for_nothing_is_accepted(grpc_client, triton, parameter, value):
    request = asked()
    request.parameters[parameter].CopyFrom(service_pb2.InferParameter(**value))
    assert await ask(grpc_client, request) == ("OK", "")
    assert set(triton.last.parameters) == {COSTLY_APART, "timeout"}


@pytest.mark.parametrize(
    ("parameter", "value", "reason"),
    [
        ("priority", {"uint64_param": 1}, "in the order in which they come"),
        ("priority", {"string_param": "high"}, "in the order in which they come"),
        ("sequence_id", {"int64_param": 7}, "keeps anything from one request to the next"),
        ("sequence_id", {"string_param": "ward"}, "keeps anything from one request to the next"),
        ("sequence_start", {"bool_param": True}, "keeps anything from one request to the next"),
        ("threshold", {}, "it has no value of a type"),
        ("timeout", {}, "microseconds"),
        ("timeout", {"bool_param": True}, "microseconds"),
        ("timeout", {"string_param": "2"}, "microseconds"),
        ("binary_data_output", {"string_param": "yes"}, "true or false"),
    ],
)
async def test_a_parameter_that_cannot_be_heeded_is_refused_with_the_reason(
    grpc_client, triton, parameter, value, reason
):
    request = asked()
    request.parameters[parameter].CopyFrom(service_pb2.InferParameter(**value))
    status, message = await ask(grpc_client, request)
    of_triton = parameter.startswith(("priority", "sequence_"))
    code = "parameter_unknown" if of_triton else "parameter_invalid"
    assert (status, message.partition(" ")[0]) == ("INVALID_ARGUMENT", f"[{code}]")
    assert message.startswith(f"[{code}] {parameter}: ")
    assert reason in message
    assert triton.calls == []


@pytest.mark.parametrize("name", ["threshold_as_a_number", "threshold_as_a_group"])
async def test_a_parameter_that_protobuf_cannot_read_is_not_left_out(grpc_client, triton, name):
    # The threshold would be the pipeline's own, and the caller would not know.
    status, message = await ask(grpc_client, (MESSAGES / f"{name}.bin").read_bytes())
    assert status == "INVALID_ARGUMENT"
    assert message.startswith("[malformed_body] request: ")
    assert triton.calls == []


@pytest.mark.parametrize("field", [b"\x20\x01", b"\x2a\x02\x08\x01", b"\x32\x02\x08\x01"])
async def test_a_field_of_another_type_is_not_left_out(grpc_client, triton, field):
    status, message = await ask(grpc_client, asked().SerializeToString() + field)
    assert (status, message[:17]) == ("INVALID_ARGUMENT", "[malformed_body] ")
    assert triton.calls == []


async def test_a_field_that_a_later_protocol_may_have_is_passed_over(grpc_client):
    # Field 100, a number.
    request = asked().SerializeToString() + b"\xa0\x06\x01"
    assert await ask(grpc_client, request) == ("OK", "")


@pytest.mark.parametrize(
    ("pipeline", "output"),
    [
        ("oral_cancer", "boxes"),
        ("object_detection", "probabilities"),
        ("object_detection", "masks"),
    ],
)
async def test_an_output_of_another_task_is_refused(open_grpc, triton, pipeline, output):
    triton.serve(load_spec(pipeline))
    grpc_client = await open_grpc(default_pipeline=pipeline)
    request = asked(pipeline)
    request.outputs.add(name=output)
    status, message = await ask(grpc_client, request)
    assert (status, message[:28]) == ("INVALID_ARGUMENT", "[parameter_invalid] outputs:")
    assert triton.calls == []


async def test_kserves_size_of_a_tensor_is_accepted(grpc_client):
    request = asked()
    size = len(request.raw_input_contents[0])
    request.inputs[0].parameters["binary_data_size"].int64_param = size
    request.outputs.add(name="confidence").parameters["binary_data"].bool_param = True
    assert await ask(grpc_client, request) == ("OK", "")


@pytest.mark.parametrize("size", [{"int64_param": 3}, {"string_param": "9"}, {"bool_param": True}])
async def test_a_size_that_is_not_the_tensors_is_refused(grpc_client, triton, size):
    request = asked()
    parameter = service_pb2.InferParameter(**size)
    request.inputs[0].parameters["binary_data_size"].CopyFrom(parameter)
    status, message = await ask(grpc_client, request)
    assert (status, message[:17]) == ("INVALID_ARGUMENT", "[malformed_body] ")
    assert triton.calls == []


async def test_a_request_for_the_most_probable_classes_is_refused_with_the_reason(grpc_client):
    request = asked()
    request.outputs.add(name="probabilities").parameters["classification"].int64_param = 1
    status, message = await ask(grpc_client, request)
    assert status == "INVALID_ARGUMENT"
    assert message.startswith("[parameter_invalid] classification: ")
    assert "`prediction`" in message


async def test_a_tensor_of_many_empty_elements_is_not_taken_apart(grpc_client, triton):
    request = asked()
    request.raw_input_contents[0] = bytes(8_000_000)
    status, message = await ask(grpc_client, request)
    assert (status, message[:17]) == ("INVALID_ARGUMENT", "[malformed_body] ")
