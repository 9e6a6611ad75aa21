"""KServe's protocol over HTTP: the answers, limits and refusals that gRPC has."""

import asyncio
import base64
import gzip
import json
import struct

import numpy as np
import pytest
from structlog.testing import capture_logs

from pipelines.load import load_spec
from pipelines.protocol import Output
from tests.unit.gateway.asking import requests, until_ready
from tests.unit.gateway.samples import FULL, JPEG, PNG, RAW
from tests.unit.gateway.toy_answers import encoded
from tests.unit.gateway.toy_triton import SPEC, forever, release_of

pytestmark = pytest.mark.anyio

INFER = "/v2/models/oral_cancer/infer"
LENGTH = "inference-header-content-length"


@pytest.fixture
async def client(start):
    client = await start()
    await until_ready(client)
    return client


def document(*files, **more):
    """A request with its images in JSON."""
    data = [base64.b64encode(file).decode() for file in files]
    tensor = {"name": "image", "shape": [len(files), 1], "datatype": "BYTES", "data": data}
    return {"inputs": [tensor], **more}


def binary(*files, outputs=None, size=None, **more):
    """Headers and body of a request with its images behind the JSON object."""
    raw = encoded(list(files))
    parameters = {"binary_data_size": len(raw) if size is None else size}
    shape = [len(files), 1]
    tensor = {"name": "image", "shape": shape, "datatype": "BYTES", "parameters": parameters}
    content = {"inputs": [tensor], **({"outputs": outputs} if outputs else {}), **more}
    header = json.dumps(content).encode()
    return {"headers": {LENGTH: str(len(header))}, "content": header + raw}


def assert_error(response, status, code):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"error"}
    assert response.json()["error"].startswith(f"[{code}] "), response.text
    assert ("retry-after" in response.headers) == (status in {409, 429, 503})
    return response.json()["error"]


def tensors(response):
    return {output["name"]: output for output in response.json()["outputs"]}


async def test_a_request_in_json_gets_the_decision_of_the_other_routes(client):
    response = await client.post(INFER, json=document(JPEG, id="mine", model_name="oral_cancer"))
    answer = response.json()
    assert response.status_code == 200, response.text
    assert (answer["model_name"], answer["id"]) == ("oral_cancer", "mine")
    http = (await client.post("/api/v1/predict", content=JPEG, headers=RAW)).json()
    found = tensors(response)
    assert set(found) == set(Output)
    assert found["probabilities"]["data"] == list(http["probabilities"].values())
    assert found["release"]["data"] == [http["release"]]
    assert found["prediction"]["data"] == [1]


async def test_what_is_no_number_is_null_in_json(client):
    asked = document(JPEG, parameters={"member": "vgg16"})
    found = tensors(await client.post(INFER, json=asked))
    assert None in found["member_probabilities"]["data"]


async def test_a_binary_request_gets_a_binary_answer_where_it_asks(client):
    asked = binary(JPEG, PNG, parameters={"binary_data_output": True})
    response = await client.post(INFER, **asked)
    assert response.headers["content-type"] == "application/octet-stream"
    size = int(response.headers[LENGTH])
    content, rest = json.loads(response.content[:size]), response.content[size:]
    raw = {}
    for output in content["outputs"]:
        length = output["parameters"]["binary_data_size"]
        raw[output["name"]], rest = rest[:length], rest[length:]
    assert rest == b""
    assert np.frombuffer(raw["confidence"], "<f4").tolist() == [np.float32(0.63)] * 2
    assert raw["release"] == encoded([release_of(SPEC).encode()]) * 2


async def test_each_output_may_be_binary_or_not(client):
    outputs = [{"name": "confidence"}, {"name": "release", "parameters": {"binary_data": True}}]
    response = await client.post(INFER, **binary(JPEG, outputs=outputs))
    size = int(response.headers[LENGTH])
    found = {output["name"]: output for output in json.loads(response.content[:size])["outputs"]}
    assert found["confidence"]["data"] == [0.63]
    assert set(found["release"]) == {"name", "datatype", "shape", "parameters"}
    assert response.content[size + 4 :].decode() == release_of(SPEC)


async def test_a_picture_in_json_is_base64(client, triton, serving):
    spec = load_spec("object_detection")
    client = await serving(spec)
    asked = document(JPEG, parameters={"visualization": True})
    found = tensors(await client.post(f"/v2/models/{spec.name}/infer", json=asked))
    assert found["visualization"]["parameters"] == {"content_type": "base64"}
    assert base64.b64decode(found["visualization"]["data"][0]).startswith(b"\x89PNG")


async def test_a_nested_tensor_and_the_version_are_taken(client, triton):
    asked = document(JPEG, PNG)
    asked["inputs"][0]["data"] = [[text] for text in asked["inputs"][0]["data"]]
    response = await client.post("/v2/models/oral_cancer/versions/1/infer", json=asked)
    assert response.status_code == 200
    assert triton.calls == [2]


async def test_the_body_may_say_the_version_too(client):
    asked = document(JPEG, model_version="1")
    assert (await client.post(INFER, json=asked)).status_code == 200
    path = "/v2/models/oral_cancer/versions/1/infer"
    assert_error(
        await client.post(path, json=asked | {"model_version": "3"}), 422, "parameter_invalid"
    )


async def test_it_is_recorded_and_shares_calls_as_any_other(start, triton):
    client = await start(triton_calls=1)
    gate = triton.hold()
    first = asyncio.create_task(client.post("/api/v1/predict", content=JPEG, headers=RAW))
    async with asyncio.timeout(5):
        while not triton.now:  # noqa: ASYNC110 - gRPC sets no event
            await asyncio.sleep(0.005)
    with capture_logs() as lines:
        calls = [
            client.post(INFER, json=document(JPEG, id="Jane")),
            client.post(INFER, **binary(PNG)),
        ]
        calls.append(client.post("/api/v1/predict", content=JPEG, headers=RAW))
        waiting = asyncio.gather(first, *calls)
        await asyncio.sleep(0.1)
        gate.set()
        answers = await waiting
    assert [answer.status_code for answer in answers] == [200] * 4
    assert triton.calls == [1, 3]
    assert [line["outcome"] for line in requests(lines) if line["route"] == "v2"] == ["ok", "ok"]
    assert "Jane" not in str(lines)
    metrics = (await client.get("/metrics")).text
    assert 'requests_total{outcome="ok",pipeline="oral_cancer",route="v2"} 2.0' in metrics
    labels = f'class="cancer",pipeline="oral_cancer",release="{release_of(SPEC)}"'
    assert f"prediction_confidence_count{{{labels}}} 4.0" in metrics


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"content": b"no json"}, 400, "malformed_body"),
        ({"content": b""}, 400, "malformed_body"),
        ({"content": b"[" * 100_000}, 400, "malformed_body"),
        ({"json": {}}, 400, "malformed_body"),
        ({"json": {"inputs": []}}, 422, "field_missing"),
        ({"json": document(JPEG, parameter={"threshold": 0.9})}, 400, "malformed_body"),
        ({"json": document(JPEG, model_name="mhist")}, 422, "parameter_invalid"),
        ({"json": document(JPEG, model_version="2")}, 404, "pipeline_unknown"),
        ({"json": document(JPEG, parameters={"threshold": None})}, 422, "parameter_invalid"),
        ({"json": document(JPEG, parameters={"threshold": [1]})}, 422, "parameter_invalid"),
        ({"json": document(JPEG, parameters={"cat": 1})}, 422, "parameter_unknown"),
        ({"json": document(JPEG, parameters={"member": "vgg19"})}, 404, "member_unknown"),
        ({"json": document(JPEG, outputs=[{"name": "boxes"}])}, 422, "parameter_invalid"),
        ({"json": document(JPEG, parameters={"timeout": -1})}, 422, "parameter_invalid"),
        ({"json": document(b"")}, 422, "image_empty"),
        ({"json": document(b"text")}, 415, "image_format"),
        ({"json": document(*[JPEG] * 17)}, 413, "too_many_files"),
        (binary(JPEG, size=3), 400, "malformed_body"),
        (binary(JPEG, size=-1), 400, "malformed_body"),
        (binary(JPEG, size=10_000), 400, "malformed_body"),
        (binary(JPEG) | {"headers": {LENGTH: "-1"}}, 400, "malformed_body"),
        (binary(JPEG) | {"headers": {LENGTH: "99999999999"}}, 400, "malformed_body"),
        (binary(JPEG) | {"headers": {LENGTH: "10"}}, 400, "malformed_body"),
        (binary(JPEG + bytes(11_000_000)), 413, "body_too_large"),
        (
            {"content": b"{}", "headers": {"content-encoding": "deflate"}},
            415,
            "content_type_unsupported",
        ),
    ],
)
async def test_what_is_not_offered_never_reaches_triton(client, triton, asked, status, code):
    response = await client.post(INFER, **asked)
    assert_error(response, status, code)
    assert triton.calls == []


@pytest.mark.parametrize(
    "data", [[1, 2, 3], list(range(200_000)), "text", {"b64": "x"}, [None], ["not base64!"], None]
)
async def test_numbers_and_other_data_are_no_image(client, triton, data):
    asked = document(JPEG)
    asked["inputs"][0]["data"] = data
    assert_error(await client.post(INFER, json=asked), 400, "malformed_body")
    assert triton.calls == []


async def test_a_compressed_request_is_read(client):
    asked = binary(JPEG)
    headers = asked["headers"] | {"content-encoding": "gzip"}
    response = await client.post(INFER, content=gzip.compress(asked["content"]), headers=headers)
    assert response.status_code == 200, response.text


async def test_many_empty_elements_are_not_taken_apart(client, triton):
    asked = binary(JPEG)
    header = json.loads(asked["content"][: int(asked["headers"][LENGTH])])
    header["inputs"][0]["parameters"]["binary_data_size"] = 8_000_000
    content = json.dumps(header).encode()
    body = content + bytes(8_000_000)
    response = await client.post(INFER, content=body, headers={LENGTH: str(len(content))})
    assert_error(response, 400, "malformed_body")


async def test_a_body_beyond_the_limit_is_refused_before_it_is_read(start):
    client = await start(batch_bytes=1000)
    body = struct.pack("<I", 5) * 50_000
    response = await client.post(INFER, content=body, headers={LENGTH: "10"})
    assert_error(response, 413, "body_too_large")


async def test_places_and_deadlines_hold(start, triton):
    client = await start(max_in_flight=1, deadline_seconds=0.5)
    triton.rules.append(forever)
    first = asyncio.create_task(client.post(INFER, json=document(JPEG)))
    async with asyncio.timeout(5):
        while not triton.now:  # noqa: ASYNC110 - gRPC sets no event
            await asyncio.sleep(0.005)
    assert_error(await client.post(INFER, json=document(JPEG)), 429, "busy")
    assert_error(await first, 504, "deadline")


async def test_the_parameter_timeout_is_a_deadline(start, triton):
    client = await start()
    triton.hold()
    asked = document(JPEG, parameters={"timeout": 200_000})
    assert_error(await client.post(INFER, json=asked), 504, "deadline")


async def test_tritons_errors_have_their_statuses(client, triton):
    triton.failures.append(FULL)
    assert_error(await client.post(INFER, json=document(JPEG)), 429, "busy")


async def test_only_pipelines_can_be_asked(client, triton):
    for path in ("oral_cancer_vgg16", "oral_cancer_decode", "oral_cancer/versions/2"):
        asked = (
            client.post(f"/v2/models/{path}/infer", json=document(JPEG)),
            client.get(f"/v2/models/{path}"),
            client.get(f"/v2/models/{path}/ready"),
            client.get(f"/v2/models/{path}/config"),
            client.get(f"/v2/models/{path}/stats"),
        )
        for response in await asyncio.gather(*asked):
            assert_error(response, 404, "pipeline_unknown")
    assert triton.calls == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nothing", 404),
        ("POST", "/v2/repository/models/oral_cancer/load", 404),
        ("POST", "/v2/repository/models/oral_cancer/unload", 404),
        ("GET", INFER, 405),
    ],
)
async def test_other_routes_are_refused_in_the_protocols_form(client, method, path, status):
    response = await client.request(method, path)
    assert_error(response, status, "not_found" if status == 404 else "method_not_allowed")


async def test_an_unexpected_failure_has_the_protocols_form_too(client, monkeypatch):
    def explode(*_):
        raise RuntimeError("Jane Doe")

    monkeypatch.setattr("gateway.core.request.sniff", explode)
    response = await client.post(INFER, json=document(JPEG))
    assert "Jane" not in assert_error(response, 500, "internal")


async def test_health_is_that_of_grpc(client):
    assert (await client.get("/v2/health/live")).json()["live"] is True
    assert (await client.get("/v2/health/ready")).json()["ready"] is True
    ready = (await client.get("/v2/models/oral_cancer/ready")).json()
    assert ready == {"name": "oral_cancer", "ready": True}
    client._transport.app.state.readiness.draining = True
    assert (await client.get("/v2/health/live")).status_code == 200
    assert_error(await client.get("/v2/health/ready"), 503, "unavailable")
    assert_error(await client.get("/v2/models/oral_cancer/ready"), 503, "unavailable")


async def test_facts_are_those_of_grpc(client):
    server = (await client.get("/v2")).json()
    assert (server["name"], "statistics" in server["extensions"]) == ("second-opinion", True)
    metadata = (await client.get("/v2/models/oral_cancer")).json()
    assert (metadata["name"], metadata["versions"]) == ("oral_cancer", ["1"])
    config = (await client.get("/v2/models/oral_cancer/config")).json()
    assert config["max_batch_size"] == SPEC.serving.max_batch
    (tensor,) = config["input"]
    assert (tensor["name"], tensor["data_type"], tensor["dims"]) == ("image", "TYPE_STRING", [1])
    assert "decode" not in json.dumps(config)
    for path in ("/v2/models/stats", "/v2/models/oral_cancer/stats"):
        (stats,) = (await client.get(path)).json()["model_stats"]
        assert (stats["name"], stats["inference_count"]) == ("oral_cancer", 7)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": true}'])
async def test_the_index_lists_pipelines(client, body):
    response = await client.post("/v2/repository/index", content=body)
    assert response.json() == [
        {"name": "oral_cancer", "version": "1", "state": "READY", "reason": ""}
    ]
    bad = await client.post("/v2/repository/index", content=b"[]")
    assert_error(bad, 400, "malformed_body")


async def test_a_key_is_asked_for_but_not_by_probes_of_the_service(start, triton, new_key):
    client = await start(auth="required")
    await until_ready(client)
    names = ("/models/oral_cancer", "/models/oral_cancer/config", "/models/oral_cancer/ready")
    for url in ("", "/models/stats", *names):
        assert_error(await client.get(f"/v2{url}"), 401, "unauthorized")
    assert_error(await client.post("/v2/repository/index"), 401, "unauthorized")
    assert_error(await client.post(INFER, json=document(JPEG)), 401, "unauthorized")
    assert triton.calls == []
    for url in ("health/live", "health/ready"):
        assert (await client.get(f"/v2/{url}")).status_code == 200
    headers = {"x-api-key": new_key()}
    assert (await client.get(f"/v2{names[-1]}", headers=headers)).status_code == 200
    answer = await client.post(INFER, json=document(JPEG), headers=headers)
    assert answer.status_code == 200
