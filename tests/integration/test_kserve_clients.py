"""Stock clients of KServe's protocol: KServe's own and Triton's, over HTTP and gRPC."""

import asyncio
import json
import subprocess
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.http as httpclient
import tritonclient.http.aio as aioclient
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.utils import InferenceServerException

from pipelines.protocol import ENCODED_IMAGE, Output
from tests.integration.service import ROOT

TOLERANCE = 1e-4
KSERVE = ROOT / ".cache/kserve/bin/python"
SCRIPT = Path(__file__).with_name("kserve_client.py")
MESSAGES = ROOT / "tests/unit/gateway/kserve"


def image(*files: bytes) -> list[httpclient.InferInput]:
    tensor = httpclient.InferInput(ENCODED_IMAGE, [len(files), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[file] for file in files], dtype=np.object_))
    return [tensor]


@pytest.fixture
def address(service) -> str:
    service.wait_ready()
    return f"127.0.0.1:{service.gateway}"


def test_kserves_own_clients_get_the_decision(oral_cancer, service, address, tmp_path):
    assert KSERVE.exists(), "KServe's client is not there: `make test` gets it"
    photo = tmp_path / "photo"
    photo.write_bytes(oral_cancer.files[0])
    arguments = [f"http://{address}", service.gateway_address, "oral_cancer", str(photo)]
    command = [str(KSERVE), "-I", str(SCRIPT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(done.stdout.splitlines()[-1])
    for transport in ("grpc", "http"):
        answer = answers[transport]
        assert (answer["live"], answer["ready"], answer["model_ready"]) == (True, True, True)
        assert (answer["model"], answer["id"]) == ("oral_cancer", "mine")
        expected = oral_cancer.opinions[0].probabilities
        np.testing.assert_allclose(answer["probabilities"], expected, atol=TOLERANCE)


def test_tritons_http_client_gets_the_decision_binary_or_in_json(oral_cancer, address):
    files, opinions = oral_cancer.files[:3], oral_cancer.opinions[:3]
    expected = [opinion.probabilities for opinion in opinions]
    with httpclient.InferenceServerClient(address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("oral_cancer", "1")
        binary = client.infer("oral_cancer", image(*files), request_id="mine")
        assert binary.get_response()["id"] == "mine"
        found = binary.as_numpy(Output.PROBABILITIES)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
        wanted = [
            httpclient.InferRequestedOutput(name, binary_data=False)
            for name in (Output.PROBABILITIES, Output.PREDICTION, Output.RELEASE)
        ]
        compressed = client.infer(
            "oral_cancer",
            image(*files),
            outputs=wanted,
            request_compression_algorithm="gzip",
        )
        for output in wanted:
            theirs = binary.as_numpy(output.name()).astype(str)
            assert (compressed.as_numpy(output.name()).astype(str) == theirs).all(), output.name()


def test_tritons_http_client_finds_what_it_asks_beside_inferences(oral_cancer, address):
    with httpclient.InferenceServerClient(address) as client:
        assert client.get_server_metadata()["name"] == "second-opinion"
        described = client.get_model_metadata("oral_cancer")
        assert {output["name"] for output in described["outputs"]} == set(Output)
        assert described["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1, 1]}]
        config = client.get_model_config("oral_cancer")
        assert config["max_batch_size"] == oral_cancer.spec.serving.max_batch
        (stats,) = client.get_inference_statistics("oral_cancer")["model_stats"]
        assert stats["inference_stats"]["success"]["count"] > 0
        names = {entry["name"] for entry in client.get_model_repository_index()}
        assert names == {"oral_cancer", "tight"}
        for call in (
            lambda: client.unload_model("oral_cancer"),
            lambda: client.get_model_config("oral_cancer_vgg16"),
            lambda: client.infer("oral_cancer_vgg16", image(oral_cancer.files[0])),
        ):
            with pytest.raises(InferenceServerException) as caught:
                call()
            assert caught.value.status() == "404"
            assert caught.value.message().startswith("[")
        with pytest.raises(InferenceServerException, match=r"\[image_undecodable\]"):
            client.infer("oral_cancer", image(b"\xff\xd8\xff" + bytes(100)))


def test_tritons_asynchronous_http_client_works_too(oral_cancer, address):
    async def ask() -> list[np.ndarray]:
        async with aioclient.InferenceServerClient(address) as client:
            assert await client.is_server_ready()
            calls = (client.infer("oral_cancer", image(file)) for file in oral_cancer.files[:8])
            return [answer.as_numpy("probabilities")[0] for answer in await asyncio.gather(*calls)]

    expected = [opinion.probabilities for opinion in oral_cancer.opinions[:8]]
    np.testing.assert_allclose(asyncio.run(ask()), expected, atol=TOLERANCE)


@pytest.mark.parametrize("service_name", ["", "inference.GRPCInferenceService", "oral_cancer"])
def test_a_grpc_probe_finds_it_serving(service, address, service_name):
    with grpc.insecure_channel(service.gateway_address) as channel:
        request = health_pb2.HealthCheckRequest(service=service_name)
        answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("name", ["threshold_as_a_number", "threshold_as_a_group"])
def test_a_threshold_that_cannot_be_read_is_not_left_out(service, address, name):
    with grpc.insecure_channel(service.gateway_address) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as caught:
            call((MESSAGES / f"{name}.bin").read_bytes(), timeout=30)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
