"""The load generator's doors and its closed loop, against real servers."""

import asyncio
import struct
import threading
from concurrent import futures
from http.server import ThreadingHTTPServer

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from lab.load.client import RequestError
from lab.load.closed_loop import differences, loop
from lab.load.grpc import GrpcClient, question
from lab.load.http import HttpClient, upload
from lab.load.http_connections import PooledHttpClient
from tests.unit.lab.load.http_server import Handler

CLASSES = ["no", "yes"]
RIGHT = [0.25, 0.75]


@pytest.fixture
def port():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def http_client(port, photos):
    return HttpClient(port, [upload("/predict", [photo]) for photo in photos], CLASSES)


def ask_all(door, photos, concurrency=2, **how):
    async def session():
        await door.open(concurrency)
        cell = await loop(door, photos, concurrency, **how)
        await door.close()
        return cell

    return asyncio.run(session())


def test_every_photo_is_asked_about_in_turn(port):
    door = http_client(port, [b"a", b"b", b"c"])
    cell = ask_all(door, 3, fewest=7)
    assert sorted(photo for photo, _ in cell.answers) == [0, 0, 0, 1, 1, 2, 2]
    assert differences(door, cell, [RIGHT] * 3) == [0.0] * 7
    assert len(cell.latencies) == 7
    assert cell.seconds >= max(cell.latencies)
    assert cell.cpu_seconds > 0


def test_an_answer_in_chunks_is_put_together(port):
    door = http_client(port, [b"CHUNKS"])
    assert differences(door, ask_all(door, 1, fewest=3), [RIGHT]) == [0.0] * 3


def test_a_connection_that_the_server_ends_is_made_anew(port):
    door = http_client(port, [b"CLOSE"])
    cell = ask_all(door, 1, concurrency=1, fewest=4)
    assert (len(cell.answers), cell.errors.total()) == (4, 0)


def test_a_refusal_is_an_error_with_its_status(port):
    cell = ask_all(http_client(port, [b"REFUSE"]), 1, fewest=2)
    assert cell.answers == []
    ((reason, count),) = cell.errors.items()
    assert count == 2
    assert reason.startswith("status 503")


def test_a_batchs_part_is_read_too_and_nonsense_is_infinitely_wrong(port):
    photos = [
        b'ANSWER[{"probabilities": {"no": 0.25, "yes": 0.75}}]',
        b'ANSWER{"probabilities": {"no": 0.35, "yes": 0.65}}',
        b'ANSWER{"probabilities": {"no": NaN, "yes": 0.75}}',
        b'ANSWER{"probabilities": [0.25, 0.75]}',
        b"ANSWER",
    ]
    door = http_client(port, photos)
    cell = ask_all(door, 5, concurrency=1, fewest=5)
    assert differences(door, cell, [RIGHT] * 5) == pytest.approx([0, 0.1, *[float("inf")] * 3])


def test_detections_are_compared_by_their_number_scores_and_corners(port):
    found = (
        b'{"predictions": [{"class": "star", "score": 0.9, "box": [10, 0, 20, 40]}], '
        b'"image": {"width": 100, "height": 40}}'
    )
    photos = [b"ANSWER" + found, b'ANSWER{"predictions": [], "image": {"width": 9, "height": 9}}']
    door = http_client(port, photos)
    right = [1, 0.9, 0.1, 0, 0.2, 1]
    cell = ask_all(door, 2, concurrency=1, fewest=2)
    assert differences(door, cell, [right, [0.0]]) == pytest.approx([0, 0])
    # Another number of detections is no small difference.
    assert min(differences(door, cell, [[0.0], right])) >= 1


@pytest.mark.parametrize("pooled", [False, True])
def test_a_server_without_room_is_told_from_one_that_fails(port, pooled):
    requests = [upload("/predict", [photo]) for photo in (b"REFUSE", b"CLOSE")]
    door = (PooledHttpClient if pooled else HttpClient)(port, requests, CLASSES)

    async def session():
        await door.open(1)
        with pytest.raises(RequestError) as refused:
            await door.ask(0, 0)
        answers = [await door.ask(0, 1) for _ in range(3)]
        await door.close()
        return refused.value.refused, len(answers)

    assert asyncio.run(session()) == (True, 3)


def test_any_number_of_requests_may_be_under_way_over_a_pool(port):
    door = PooledHttpClient(port, [upload("/predict", [b"a"])], CLASSES)

    async def session():
        await door.open(1)
        answers = await asyncio.gather(*(door.ask(0, 0) for _ in range(20)))
        await door.close()
        return answers

    assert len(asyncio.run(session())) == 20


def test_a_port_without_a_server_is_told():
    with pytest.raises(RequestError, match="nobody listens on port 9"):
        ask_all(http_client(9, [b"a"]), 1, fewest=1)


class Inference(grpc.GenericRpcHandler):
    """Answers ModelInfer with the length of the photo in percent; refuses an empty one."""

    def service(self, call):
        assert call.method == "/inference.GRPCInferenceService/ModelInfer"
        return grpc.unary_unary_rpc_method_handler(
            self._infer, service_pb2.ModelInferRequest.FromString
        )

    def _infer(self, request, context):
        (raw,) = request.raw_input_contents
        (length,) = struct.unpack("<I", raw[:4])
        if request.model_name == "detector":
            return detected([output.name for output in request.outputs])
        if length == 0:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "[image_empty] the file is empty")
        output = service_pb2.ModelInferResponse.InferOutputTensor(
            name="probabilities", datatype="FP32", shape=(1, 2)
        )
        values = np.array([length / 100, 1 - length / 100], "<f4")
        if request.model_name == "typed":
            output.contents.fp32_contents.extend(values.tolist())
            return service_pb2.ModelInferResponse(outputs=[output]).SerializeToString()
        return service_pb2.ModelInferResponse(
            outputs=[output], raw_output_contents=[values.tobytes()]
        ).SerializeToString()


def detected(names):
    """One detection, of the outputs that were asked for."""
    values = {
        "boxes": np.array([[10, 0, 20, 40]], "<f4"),
        "scores": np.array([0.9], "<f4"),
        "image_size": np.array([40, 100], "<i4"),
    }
    response = service_pb2.ModelInferResponse(
        outputs=[
            service_pb2.ModelInferResponse.InferOutputTensor(name=name, shape=values[name].shape)
            for name in names
        ],
        raw_output_contents=[values[name].tobytes() for name in names],
    )
    return response.SerializeToString()


@pytest.fixture
def grpc_port():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Inference(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


@pytest.mark.parametrize("model", ["raw", "typed"])
def test_probabilities_come_over_grpc_raw_or_typed(grpc_port, model):
    door = GrpcClient(grpc_port, model, {}, [b"x" * 25])
    cell = ask_all(door, 1, fewest=3)
    assert differences(door, cell, [RIGHT]) == pytest.approx([0.0] * 3, abs=1e-6)


def test_detections_come_over_grpc(grpc_port):
    door = GrpcClient(grpc_port, "detector", {}, [b"x"], outputs=["image_size", "boxes", "scores"])
    cell = ask_all(door, 1, fewest=1, concurrency=1)
    assert differences(door, cell, [[1, 0.9, 0.1, 0, 0.2, 1]]) == pytest.approx([0], abs=1e-6)


def test_a_refusal_over_grpc_is_an_error_with_its_code(grpc_port):
    cell = ask_all(GrpcClient(grpc_port, "raw", {}, [b""]), 1, concurrency=1, fewest=1)
    assert list(cell.errors) == ["INVALID_ARGUMENT: [image_empty] the file is empty"]


def test_a_question_asks_for_the_probabilities_of_one_member():
    request = service_pb2.ModelInferRequest.FromString(
        question("oral_cancer", {"member": "regnet_onnx"}, b"photo")
    )
    assert request.model_name == "oral_cancer"
    assert request.parameters["member"].string_param == "regnet_onnx"
    assert [output.name for output in request.outputs] == ["probabilities"]
    assert request.raw_input_contents[0] == b"\x05\x00\x00\x00photo"
