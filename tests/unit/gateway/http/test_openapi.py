"""The OpenAPI document says what comes back."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.gateway.samples import FULL, JPEG, RAW, UNAVAILABLE, files

pytestmark = pytest.mark.anyio
BESIDE_JSON = {("/api/v1/audit", "get"): ("application/jsonl", "application/fhir+json")}
NOT_JSON = {
    ("/metrics", "get"): "text/plain",
    ("/api/v1/predictions/{prediction_id}/image", "get"): "image/*",
}


@pytest.fixture
async def document(client):
    return (await client.get("/openapi.json")).json()


def operations(document: dict) -> Iterator[tuple[str, str, dict]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


async def test_each_reference_leads_to_a_schema_and_each_schema_is_referred_to(document):
    named = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) == named
    assert "$defs" not in json.dumps(document)


async def test_each_operation_has_a_name_of_its_own_that_a_reader_knows(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert sorted(names) == sorted(
        [
            "predict",
            "predict_advanced",
            "predict_batch",
            "predict_flat",
            "pipeline_predict",
            "pipeline_predict_advanced",
            "pipeline_predict_batch",
            "list_pipelines",
            "get_pipeline",
            "give_feedback",
            "feedback_history",
            "delete_comment",
            "list_cases",
            "kept_image",
            "delete_kept_image",
            "get_session",
            "log_in",
            "log_out",
            "login_ways",
            "health",
            "readiness",
            "metrics",
            "usage",
            "served",
            "get_prediction",
            "get_receipt",
            "audit",
            "list_release_states",
            "release_history",
            "release_comparisons",
            "release_watch",
            "change_releases",
        ]
    )


async def test_each_error_is_a_problem_document_and_nothing_else(document):
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if status == "204":
                assert "content" not in response
                continue
            kinds = list(response["content"])
            if status >= "400":
                assert kinds == ["application/problem+json"], (path, status)
                assert response["content"][kinds[0]]["schema"]
            else:
                kind = NOT_JSON.get((path, method), "application/json")
                assert set(kinds) == {kind, *BESIDE_JSON.get((path, method), ())}
    assert "HTTPValidationError" not in json.dumps(document)


@pytest.mark.parametrize(
    "case",
    [
        ("GET", "/healthz", "/healthz", {}, 200),
        ("GET", "/readyz", "/readyz", {}, 200),
        ("GET", "/readyz?pipeline=none", "/readyz", {}, 404),
        ("GET", "/metrics", "/metrics", {}, 200),
        ("GET", "/api/v1/pipelines", "/api/v1/pipelines", {}, 200),
        ("GET", "/api/v1/pipelines/oral_cancer", "/api/v1/pipelines/{name}", {}, 200),
        ("GET", "/api/v1/pipelines/none", "/api/v1/pipelines/{name}", {}, 404),
        ("POST", "/predict", "/predict", {"content": JPEG, "headers": RAW}, 200),
        ("POST", "/api/v1/predict", "/api/v1/predict", {"content": b"", "headers": RAW}, 422),
        ("POST", "/api/v1/predict", "/api/v1/predict", {"content": b"x"}, 415),
        ("POST", "/api/v1/predict", "/api/v1/predict", {"json": []}, 400),
        (
            "POST",
            "/api/v1/predict/batch",
            "/api/v1/predict/batch",
            {"files": files(b"text", b"text")},
            415,
        ),
        (
            "POST",
            "/api/v1/predict/batch",
            "/api/v1/predict/batch",
            {"files": files(*[JPEG] * 101)},
            413,
        ),
        (
            "POST",
            "/api/v1/pipelines/none/predict",
            "/api/v1/pipelines/{name}/predict",
            {"content": JPEG, "headers": RAW},
            404,
        ),
    ],
)
async def test_what_comes_back_is_documented(client, document, case):
    method, path, template, options, status = case
    # An answer is the proof that the pipeline is ready.
    await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    response = await client.request(method, path, **options)
    assert response.status_code == status
    documented = document["paths"][template][method.lower()]["responses"][str(status)]
    assert response.headers["content-type"].partition(";")[0] in documented["content"]


@pytest.mark.parametrize(("failures", "status"), [([FULL], 429), ([UNAVAILABLE] * 2, 503)])
async def test_a_failure_of_triton_is_documented_too(client, triton, document, failures, status):
    triton.failures += failures
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert response.status_code == status
    assert str(status) in document["paths"]["/api/v1/predict"]["post"]["responses"]


def headers_of(document: dict, path: str, status: str) -> set[str]:
    (operation,) = (
        operation for method, operation in document["paths"][path].items() if method != "head"
    )
    return set(operation["responses"][status].get("headers", ()))


LIMITS = {"RateLimit", "RateLimit-Policy", "Budget-Warning"}


async def test_each_answer_documents_the_request_id(document):
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            found = response["headers"]["X-Request-ID"]
            assert found["required"], (path, method, status)


async def test_answers_about_images_document_limits_and_replays(document):
    paths = [path for path in document["paths"] if "predict" in path and "predictions" not in path]
    assert len(paths) == 7
    for path in paths:
        for status in ("200", "422"):
            found = headers_of(document, path, status)
            assert found >= LIMITS | {"Idempotency-Replayed"}, (path, status)
    assert not LIMITS & headers_of(document, "/api/v1/pipelines", "200")


async def test_where_a_caller_may_come_again_the_document_has_retry_after(document):
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            wanted = status in {"409", "429", "503"}
            assert ("Retry-After" in response["headers"]) == wanted, (path, method, status)


async def test_the_document_names_the_headers_that_a_request_may_have(document):
    sent = document["paths"]["/api/v1/predict"]["post"]["parameters"]
    named = {each["name"] for each in sent if each["in"] == "header"}
    assert named >= {"Idempotency-Key", "X-Keep-Image", "X-Signed-Receipt", "X-Request-ID"}


async def test_headers_that_come_back_are_documented(start, new_key, document):
    client = await start(auth="required", default_rate="2/min")
    headers = {**RAW, "x-api-key": new_key("ward"), "idempotency-key": "1"}
    seen = set()
    for status, more in (
        (200, {}),
        (200, {}),
        (422, {"x-keep-image": "perhaps"}),
        (200, {"idempotency-key": "2"}),
        (429, {"idempotency-key": "3"}),
    ):
        response = await client.post("/api/v1/predict", content=JPEG, headers=headers | more)
        assert response.status_code == status, response.text
        documented = {name.lower() for name in headers_of(document, "/api/v1/predict", str(status))}
        own = {name for name in response.headers if not name.startswith("content-")}
        # Those of every answer of HTTP, which browsers read.
        own -= {"x-content-type-options", "referrer-policy", "cache-control"}
        assert own <= documented, (status, own - documented)
        seen |= own
    assert seen >= {"ratelimit", "ratelimit-policy", "retry-after", "idempotency-replayed"}
