"""Over gRPC through the gateway: Triton's own answers, and no way to harm Triton."""

import asyncio
import contextlib
import random
import signal
import threading
import time

import numpy as np
import pytest
import tritonclient.grpc as grpcclient
import tritonclient.grpc.aio as aioclient
from tritonclient.utils import InferenceServerException

from pipelines.protocol import ENCODED_IMAGE, Output
from tests.integration.gateway import gateway
from tests.integration.triton import infer, infer_together

TOLERANCE = 1e-4
LATE, BUSY = "StatusCode.DEADLINE_EXCEEDED", "StatusCode.RESOURCE_EXHAUSTED"


@pytest.fixture
def gateway_grpc(service):
    service.wait_ready()
    with grpcclient.InferenceServerClient(service.gateway_address) as client:
        yield client


def image(*files: bytes) -> list[grpcclient.InferInput]:
    tensor = grpcclient.InferInput(ENCODED_IMAGE, [len(files), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[file] for file in files], dtype=np.object_))
    return [tensor]


def refusal(
    client: grpcclient.InferenceServerClient, file: bytes, **more: float
) -> InferenceServerException | None:
    try:
        client.infer("oral_cancer", image(file), **more)
    except InferenceServerException as error:
        return error
    return None


def test_the_answer_is_that_of_triton_and_of_http(oral_cancer, service, gateway_grpc, http):
    with grpcclient.InferenceServerClient(service.grpc) as triton:
        for file, expected in zip(oral_cancer.files[:12], oral_cancer.opinions, strict=False):
            ours, theirs = (
                infer(gateway_grpc, "oral_cancer", file),
                infer(triton, "oral_cancer", file),
            )
            assert ours.keys() == theirs.keys()
            for name, tensor in theirs.items():
                if name == Output.COMPUTE:
                    # What it cost differs from time to time.
                    continue
                np.testing.assert_array_equal(ours[name], tensor)
            found = ours[Output.PROBABILITIES][0]
            np.testing.assert_allclose(found, expected.probabilities, atol=TOLERANCE)
            answer = http.post("/api/v1/predict", files={"file": file}).json()
            assert list(answer["probabilities"].values()) == pytest.approx(found, abs=TOLERANCE)
            assert answer["release"] == ours[Output.RELEASE][0, 0].decode()


def test_the_response_is_triton_s_message_whole_or_the_part_that_is_asked(
    oral_cancer, service, gateway_grpc
):
    first, second, third = oral_cancer.files[:3]
    part = [grpcclient.InferRequestedOutput(name) for name in (Output.CONFIDENCE, Output.RELEASE)]
    with grpcclient.InferenceServerClient(service.grpc) as triton:
        for files, outputs in (((first,), None), ((first, second, third), None), ((first,), part)):
            ours, theirs = (
                client.infer("oral_cancer", image(*files), request_id="mine", outputs=outputs)
                for client in (gateway_grpc, triton)
            )
            assert tensors(ours) == tensors(theirs)
            assert ours.get_response().id == theirs.get_response().id == "mine"
            assert ours.get_response().model_version == theirs.get_response().model_version


def tensors(result: grpcclient.InferResult) -> dict[str, tuple[str, list[int], bytes]]:
    """Datatype, shape and bytes of each output."""
    response = result.get_response()
    return {
        output.name: (output.datatype, list(output.shape), raw)
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
        if output.name != Output.COMPUTE
    }


def test_a_batch_is_answered_in_its_order(oral_cancer, gateway_grpc):
    files, opinions = oral_cancer.files[:16], oral_cancer.opinions[:16]
    answer = infer(gateway_grpc, "oral_cancer", *files)
    expected = [opinion.probabilities for opinion in opinions]
    np.testing.assert_allclose(answer[Output.PROBABILITIES], expected, atol=TOLERANCE)


def test_many_at_once_are_all_answered_right(oral_cancer, gateway_grpc):
    chosen = [index % len(oral_cancer.files) for index in range(64)]
    answers = infer_together(
        gateway_grpc, "oral_cancer", [(oral_cancer.files[index], {}) for index in chosen]
    )
    for index, answer in zip(chosen, answers, strict=True):
        assert not isinstance(answer, Exception), str(answer)
        expected = oral_cancer.opinions[index].probabilities
        found = answer[Output.PROBABILITIES][0]
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_parameters_and_metadata_are_tritons(oral_cancer, service, gateway_grpc):
    bounds = oral_cancer.spec.threshold
    asked = {"threshold": bounds.minimum}
    answer = infer(gateway_grpc, "oral_cancer", oral_cancer.files[0], parameters=asked)
    assert answer[Output.THRESHOLD][0, 0] == pytest.approx(bounds.minimum)
    with grpcclient.InferenceServerClient(service.grpc) as triton:
        described = triton.get_model_metadata("oral_cancer")
    assert gateway_grpc.get_model_metadata("oral_cancer") == described
    assert gateway_grpc.is_model_ready("oral_cancer")


def test_the_asynchronous_client_works_too(oral_cancer, service):
    service.wait_ready()

    async def ask() -> list[np.ndarray]:
        async with aioclient.InferenceServerClient(service.gateway_address) as client:
            assert await client.is_server_ready()
            calls = (client.infer("oral_cancer", image(file)) for file in oral_cancer.files[:8])
            return [answer.as_numpy("probabilities")[0] for answer in await asyncio.gather(*calls)]

    expected = [opinion.probabilities for opinion in oral_cancer.opinions[:8]]
    np.testing.assert_allclose(asyncio.run(ask()), expected, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([b"text"], "[image_format] image: the format is not supported"),
        ([b"\xff\xd8\xff" + bytes(100)], "[image_undecodable] image: the image"),
        ([None, b"\xff\xd8\xff" + bytes(100)], "[image_undecodable] image 1: the image"),
        ([b""], "[image_empty] image: it has no bytes"),
    ],
)
def test_a_bad_image_is_refused_with_its_code(oral_cancer, gateway_grpc, files, message):
    with pytest.raises(InferenceServerException) as caught:
        infer(
            gateway_grpc,
            "oral_cancer",
            *(oral_cancer.files[0] if file is None else file for file in files),
        )
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert caught.value.message().startswith(message)


@pytest.mark.parametrize("value", ["2", 2, 2.0, True, "nan"])
def test_a_parameter_out_of_bounds_is_refused(oral_cancer, gateway_grpc, value):
    with pytest.raises(InferenceServerException, match="parameter_invalid"):
        infer(gateway_grpc, "oral_cancer", oral_cancer.files[0], parameters={"threshold": value})


def test_members_and_the_model_control_cannot_be_reached(oral_cancer, gateway_grpc):
    for call in (
        lambda: infer(gateway_grpc, "oral_cancer_vgg16", oral_cancer.files[0]),
        lambda: gateway_grpc.unload_model("oral_cancer"),
        lambda: gateway_grpc.get_model_config("oral_cancer_vgg16"),
        lambda: gateway_grpc.get_inference_statistics("oral_cancer_decode"),
        lambda: gateway_grpc.register_system_shared_memory("region", "/region", 8),
    ):
        with pytest.raises(InferenceServerException) as caught:
            call()
        assert caught.value.status() in {"StatusCode.NOT_FOUND", "StatusCode.UNIMPLEMENTED"}
    assert gateway_grpc.is_model_ready("oral_cancer")


def test_configs_statistics_and_the_index_are_of_pipelines_alone(oral_cancer, gateway_grpc):
    before = gateway_grpc.get_inference_statistics("oral_cancer").model_stats[0]
    infer(gateway_grpc, "oral_cancer", *oral_cancer.files[:3])
    (after,) = gateway_grpc.get_inference_statistics("oral_cancer").model_stats
    assert after.inference_count >= before.inference_count + 3
    assert after.inference_stats.success.ns > before.inference_stats.success.ns
    pipelines = {"oral_cancer", "tight"}
    assert {each.name for each in gateway_grpc.get_inference_statistics().model_stats} == pipelines
    index = gateway_grpc.get_model_repository_index().models
    assert {(each.name, each.version) for each in index} == {(name, "1") for name in pipelines}
    config = gateway_grpc.get_model_config("oral_cancer").config
    assert config.max_batch_size == oral_cancer.spec.serving.max_batch
    assert {output.name for output in config.output} == set(Output)
    assert not config.parameters
    assert not config.ensemble_scheduling.step


def test_callers_who_cancel_and_deadlines_that_pass_harm_nobody(oral_cancer, service, gateway_grpc):
    # Cancelled inferences crash this Triton within some hundreds; the gateway cancels none.
    before = service.metrics(service.server_metrics)
    problems: list[InferenceServerException] = []

    def leave(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(6):
            # A connection of its own that ends: this is what the crash needs.
            with grpcclient.InferenceServerClient(service.gateway_address) as client:
                for _ in range(10):
                    file = rng.choice(oral_cancer.files)
                    call = client.async_infer("oral_cancer", image(file), lambda **_: None)
                    time.sleep(rng.random() * 0.05)
                    call.cancel()

    def be_late(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(6):
            with grpcclient.InferenceServerClient(service.gateway_address) as client:
                for _ in range(10):
                    file = rng.choice(oral_cancer.files)
                    error = refusal(client, file, client_timeout=0.05)
                    if error and error.status() not in {LATE, BUSY}:
                        problems.append(error)

    callers = [threading.Thread(target=leave, args=(n,)) for n in range(5)]
    callers += [threading.Thread(target=be_late, args=(n,)) for n in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not problems
    give_up = time.monotonic() + 60
    while error := refusal(gateway_grpc, oral_cancer.files[0]):
        # What they left behind is still worked on, and holds its places.
        assert error.status() == BUSY
        assert time.monotonic() < give_up, "the places of callers who are gone are never free"
        time.sleep(0.2)
    for file, expected in zip(oral_cancer.files[:8], oral_cancer.opinions, strict=False):
        found = infer(gateway_grpc, "oral_cancer", file)[Output.PROBABILITIES][0]
        np.testing.assert_allclose(found, expected.probabilities, atol=TOLERANCE)
    after = service.metrics(service.server_metrics)
    assert after["server_restarts_total"] == before["server_restarts_total"]


def test_a_key_goes_along_as_a_header(oral_cancer, service):
    service.wait_ready()
    with (
        gateway(service.triton_grpc, GATEWAY_AUTH="required") as alone,
        grpcclient.InferenceServerClient(alone.gateway_address) as client,
    ):
        known = {"x-api-key": alone.new_key("predict")}
        wait_ready(client, known)
        file = image(oral_cancer.files[0])
        with pytest.raises(InferenceServerException, match="unauthorized"):
            client.infer("oral_cancer", file)
        with pytest.raises(InferenceServerException, match="unauthorized"):
            client.infer("oral_cancer", file, headers={"x-api-key": "guess"})
        answer = client.infer("oral_cancer", file, headers=known)
        assert answer.as_numpy("confidence").shape == (1, 1)


def test_a_stop_lets_calls_in_flight_finish(oral_cancer, service):
    service.wait_ready()
    answers: list[object] = []
    with (
        gateway(service.triton_grpc) as alone,
        grpcclient.InferenceServerClient(alone.gateway_address) as client,
    ):
        wait_ready(client)
        for file in oral_cancer.files[:6]:
            client.async_infer(
                "oral_cancer", image(file), lambda result, error: answers.append(error or result)
            )
        time.sleep(0.1)
        alone.process.send_signal(signal.SIGTERM)
        assert alone.process.wait(30) == 0
    assert len(answers) == 6
    assert not [answer for answer in answers if isinstance(answer, Exception)]


def wait_ready(
    client: grpcclient.InferenceServerClient, headers: dict[str, str] | None = None
) -> None:
    give_up = time.monotonic() + 30
    while not ready(client, headers):
        assert time.monotonic() < give_up, "the gateway is not ready"
        time.sleep(0.1)


def ready(client: grpcclient.InferenceServerClient, headers: dict[str, str] | None) -> bool:
    # It begins to listen a moment after HTTP.
    with contextlib.suppress(InferenceServerException):
        return bool(client.is_model_ready("oral_cancer", headers=headers))
    return False
