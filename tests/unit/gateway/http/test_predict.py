"""Answers about one image, over a real gRPC channel; the Triton behind it is a toy."""

import base64

import pytest

from gateway.results import shapes
from tests.unit.gateway.samples import JPEG, RAW, form
from tests.unit.gateway.toy_triton import SPEC, release_of

pytestmark = pytest.mark.anyio

PATHS = [
    ("/api/v1/predict", shapes.Prediction),
    ("/api/v1/predict/advanced", shapes.AdvancedPrediction),
    ("/api/v1/pipelines/oral_cancer/predict", shapes.Prediction),
    ("/api/v1/pipelines/oral_cancer/predict/advanced", shapes.AdvancedPrediction),
    ("/predict", shapes.FlatPrediction),
    ("/predict/", shapes.FlatPrediction),
]


@pytest.mark.parametrize(("path", "shape"), PATHS)
async def test_each_route_answers_in_its_documented_shape(client, path, shape):
    response = await client.post(path, files={"file": ("a.jpg", JPEG, "image/jpeg")})
    assert response.status_code == 200, response.text
    answer = response.json()
    shapes.adapter(shape).validate_python(answer)
    assert (answer["prediction"], answer["confidence"]) == ("cancer", 0.63)
    assert answer["release"] == release_of(SPEC)
    assert (answer["pipeline"], answer["threshold"]) == ("oral_cancer", 0.5)
    assert (answer["preprocessing"], answer["weights"]) == ("exact", "demo")
    assert answer["request_id"] == response.headers["x-request-id"]


async def test_numbers_are_rendered_by_their_shortest_form(client):
    response = await client.post("/api/v1/predict?threshold=0.37", content=JPEG, headers=RAW)
    assert '"probabilities":{"healthy":0.37,"cancer":0.63}' in response.text
    assert '"threshold":0.37,' in response.text


async def test_the_advanced_answer_has_each_members_own_opinion(client):
    response = await client.post("/api/v1/predict/advanced", content=JPEG, headers=RAW)
    answer = response.json()
    assert answer["models"]["vgg16"] == {
        "prediction": "healthy",
        "confidence": 0.7,
        "probabilities": {"healthy": 0.7, "cancer": 0.3},
        "weight": 0.4,
        "compute_ms": 15.625,
        "version": "1",
        "sha256": "a" * 64,
    }
    assert answer["models"]["regnet"]["confidence"] == 0.85
    assert answer["uncertainty"]["level"] == "high"
    assert answer["uncertainty"]["recommendation"] == SPEC.uncertainty.high.recommendation
    assert "members" not in answer


async def test_one_member_alone_is_named_and_heard_alone(client, triton):
    query = "/api/v1/predict/advanced?member=regnet"
    answer = (await client.post(query, content=JPEG, headers=RAW)).json()
    assert answer["member"] == "regnet"
    assert set(answer["models"]) == {"regnet"}
    assert triton.seen[-1] | {"timeout": ""} == {"member": "regnet", "timeout": ""}
    flat = (await client.post("/predict?member=vgg16", content=JPEG, headers=RAW)).json()
    assert flat["individual_scores"] == {"vgg16": 0.3}


async def test_only_what_the_caller_chose_travels_to_triton(client, triton):
    await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert set(triton.seen[-1]) == {"timeout"}
    await client.post("/api/v1/predict?threshold=nan", content=JPEG, headers=RAW)
    assert triton.seen[-1]["threshold"] == "nan"


async def test_base64_images_are_answered_as_any_other(client):
    body = {"image": base64.b64encode(JPEG).decode()}
    response = await client.post("/api/v1/predict", json=body)
    assert response.json()["prediction"] == "cancer"


async def test_a_form_and_its_type_are_read_as_any_client_writes_them(client):
    content_type, body = form(("file", "a.jpg", JPEG), boundary="----WebKitFormBoundary0")
    headers = {"content-type": content_type}
    response = await client.post("/api/v1/predict", content=body, headers=headers)
    assert response.status_code == 200
