import json
import re

import pytest
from structlog.testing import capture_logs

from tests.unit.gateway.asking import requests
from tests.unit.gateway.samples import (
    FULL,
    JPEG,
    RAW,
)
from tests.unit.gateway.toy_triton import SPEC, release_of

pytestmark = pytest.mark.anyio


async def test_a_caller_who_names_the_request_gets_the_name_back(client):
    response = await client.get("/healthz", headers={"X-Request-ID": "ward-7.a_b"})
    assert response.headers["x-request-id"] == "ward-7.a_b"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "ü", "a\tb", 'a"b'])
async def test_a_name_of_another_form_is_replaced(client, sent):
    response = await client.get("/nowhere", headers={"X-Request-ID": sent.encode()})
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])


async def test_each_request_is_logged_once_and_without_what_it_brought(client):
    name = "Jane Doe.jpg"
    with capture_logs() as lines:
        await client.post("/api/v1/predict", files={"file": (name, JPEG)})
        await client.post("/api/v1/predict/batch", files=[("files", (name, b"text"))])
        await client.get("/healthz")
    one, many = requests(lines)
    assert "jane" not in json.dumps(lines).lower()
    assert (one["route"], one["pipeline"], one["status"]) == ("predict", "oral_cancer", 200)
    assert (one["outcome"], one["format"], one["bytes"]) == ("ok", "jpeg", len(JPEG))
    assert {"receive_ms", "infer_ms", "render_ms", "total_ms", "request_id"} <= set(one)
    assert (many["outcome"], many["images"], many["failed"]) == ("image_format", 1, 1)


async def test_the_metrics_have_their_names_and_bounded_labels(client, triton):
    triton.failures.append(FULL)
    for path in ("/api/v1/predict", "/api/v1/predict", "/api/v1/pipelines/Jane/predict"):
        await client.post(path, content=JPEG, headers=RAW)
    text = (await client.get("/metrics")).text
    labels = f'pipeline="oral_cancer",release="{release_of(SPEC)}"'
    for line in (
        'gateway_requests_total{outcome="ok",pipeline="oral_cancer",route="predict"} 1.0',
        'gateway_requests_total{outcome="busy",pipeline="oral_cancer",route="predict"} 1.0',
        'gateway_requests_total{outcome="pipeline_unknown",pipeline="none",route="predict"} 1.0',
        'gateway_request_seconds_count{pipeline="oral_cancer"} 2.0',
        'gateway_requests_in_flight{pipeline="oral_cancer"} 0.0',
        'gateway_requests_refused_total{pipeline="oral_cancer",reason="triton_queue"} 1.0',
        'gateway_images_total{format="jpeg"} 2.0',
        "gateway_image_bytes_count 2.0",
        f'prediction_confidence_count{{class="cancer",{labels}}} 1.0',
        f"prediction_disagreement_count{{{labels}}} 1.0",
        f'prediction_uncertainty_total{{level="high",{labels}}} 1.0',
        f"prediction_images_total{{{labels}}} 1.0",
        f'prediction_quality_warnings_total{{code="blurred",{labels}}} 1.0',
        f'prediction_quality_warnings_total{{code="dark",{labels}}} 0.0',
    ):
        assert line in text
    await client.post("/api/v1/predict/batch", files=[("files", JPEG)])
    text = (await client.get("/metrics")).text
    for stage in ("receive", "queue", "infer", "render"):
        assert f'gateway_stage_seconds_count{{pipeline="oral_cancer",stage="{stage}"}}' in text
    assert "Jane" not in text


@pytest.mark.parametrize("further", [None, "canary.dcm"])
async def test_further_fields_of_a_form_are_neither_logged_nor_counted_nor_repeated(
    client, triton, caplog, further
):
    caplog.set_level("DEBUG")
    triton.failures.append(FULL)
    field = "Canary-name", (further, b"canary-value")
    with capture_logs() as lines:
        answers = [
            await client.post(path, files=[(name, ("canary.jpg", JPEG)), field])
            for name, path in [
                ("file", "/api/v1/predict"),
                ("file", "/api/v1/predict"),
                ("file", "/predict"),
                ("files", "/api/v1/predict/batch"),
                ("canary", "/api/v1/predict"),
            ]
        ]
    statuses = [answer.status_code for answer in answers]
    assert statuses == ([422] * 5 if further else [429, 200, 200, 200, 422])
    texts = [json.dumps(lines), caplog.text, (await client.get("/metrics")).text]
    # A batch gives back the names of its files, and nothing else of the form.
    texts += [answer.text.replace('"canary.jpg"', "") for answer in answers]
    for text in texts:
        assert "canary" not in text.lower()
