import json

import grpc
import pytest
from structlog.testing import capture_logs

from gateway.errors import Code, grpc_status_of
from pipelines.protocol import Refusal, refusal
from tests.unit.gateway.samples import FULL, JPEG, RAW, UNAVAILABLE, assert_problem
from tests.unit.gateway.toy_triton import Failure

pytestmark = pytest.mark.anyio


async def test_a_dead_process_behind_triton_is_tried_once_more(client, triton):
    triton.failures.append(UNAVAILABLE)
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert response.status_code == 200
    triton.failures += [UNAVAILABLE, UNAVAILABLE]
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(response, 503, "unavailable")
    assert not triton.failures


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (FULL, 429, "busy"),
        (Failure(grpc.StatusCode.UNAVAILABLE, "Request timeout expired"), 504, "deadline"),
        (Failure(grpc.StatusCode.INTERNAL, "ValueError: secret"), 500, "internal"),
        (
            Failure(grpc.StatusCode.INTERNAL, refusal(Refusal.MODEL_OUTPUT, "not finite.")),
            500,
            "model_output",
        ),
        (
            Failure(grpc.StatusCode.INVALID_ARGUMENT, refusal(Refusal.IMAGE_TOO_LARGE, "large.")),
            413,
            "image_too_large",
        ),
    ],
)
async def test_each_failure_of_triton_has_its_status(client, triton, failure, status, code):
    triton.failures.append(failure)
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    document = assert_problem(response, status, code)
    assert "secret" not in document["detail"]
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert response.status_code == 200


@pytest.mark.parametrize("code", [each for each in Refusal if each.startswith("image")])
async def test_a_refusal_of_the_image_names_where_it_was_sent(client, triton, code):
    message = refusal(code, "it is too much. Cut it.")
    triton.failures.append(Failure(grpc.StatusCode.INVALID_ARGUMENT, message))
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert response.json()["detail"] == "body: it is too much. Cut it."
    assert grpc_status_of(Code(code)) == "INVALID_ARGUMENT"


@pytest.mark.parametrize("query", ["top_k=0", "top_k=10000", "top_k=", "top_k=x", "polygons=true"])
async def test_what_the_models_refuse_is_never_rendered(client, triton, query):
    async def refuses(_image, parameters):
        if len(parameters) > 1:
            message = refusal(Refusal.PARAMETER_INVALID, "it is not allowed. Leave it out.")
            raise Failure(grpc.StatusCode.INVALID_ARGUMENT, message)

    triton.rules.append(refuses)
    for path in ("/api/v1/predict", "/api/v1/predict/advanced", "/predict"):
        response = await client.post(f"{path}?{query}", content=JPEG, headers=RAW)
        assert_problem(response, 422, "parameter_invalid")
    response = await client.post(f"/api/v1/predict/batch?{query}", files=[("files", JPEG)])
    assert_problem(response, 422, "parameter_invalid")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/v1/predict", 405, "method_not_allowed"),
        ("POST", "/api/v1/predict?treshold=0.5", 422, "parameter_unknown"),
        ("POST", "/api/v1/predict?threshold=0.5&threshold=0.6", 422, "parameter_invalid"),
        ("POST", "/api/v1/predict?member=nobody", 404, "member_unknown"),
        ("POST", "/api/v1/pipelines/nothing/predict", 404, "pipeline_unknown"),
        ("POST", "/api/v1/pipelines/oral_cancer_vgg16/predict", 404, "pipeline_unknown"),
        ("GET", "/api/v1/pipelines/nothing", 404, "pipeline_unknown"),
        ("GET", "/readyz?pipeline=nothing", 404, "pipeline_unknown"),
    ],
)
async def test_each_wrong_request_has_its_status(client, method, path, status, code):
    response = await client.request(method, path, content=JPEG, headers=RAW)
    assert_problem(response, status, code)


async def test_a_pipeline_that_is_being_loaded_is_unavailable_not_unknown(start, triton):
    triton.ready = False
    client = await start(settled=False)
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(response, 503, "unavailable")


async def test_an_unexpected_failure_is_a_problem_without_its_text(client, triton, monkeypatch):
    def explode(*_):
        raise RuntimeError("Jane Doe")

    monkeypatch.setattr("gateway.core.request.sniff", explode)
    with capture_logs() as lines:
        response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(response, 500, "internal")
    assert "Jane" not in response.text + json.dumps(lines)
    (line,) = [line for line in lines if line["event"] == "unexpected"]
    assert line["error"] == "RuntimeError"
    assert "test_refusals.py" in line["where"]
