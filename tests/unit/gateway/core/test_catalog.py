import pytest

from gateway.results import description, shapes
from pipelines.protocol import Parameter
from tests.unit.gateway.samples import JPEG, RAW, assert_problem
from tests.unit.gateway.toy_triton import SPEC, release_of

pytestmark = pytest.mark.anyio


async def test_a_new_release_is_never_answered_with_the_facts_of_the_old_one(client, triton):
    await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    renamed = {"classes": ("benign", "malign"), "positive": "malign", "summary_aliases": {}}
    newer = SPEC.model_copy(update={"release": "2", **renamed})
    triton.serve(newer)
    answer = (await client.post("/api/v1/predict", content=JPEG, headers=RAW)).json()
    assert (answer["release"], answer["prediction"]) == (release_of(newer), "malign")
    triton.answered_by = SPEC
    answer = (await client.post("/api/v1/predict", content=JPEG, headers=RAW)).json()
    assert (answer["release"], answer["prediction"]) == (release_of(SPEC), "cancer")


async def test_an_answer_whose_facts_cannot_be_had_is_not_given(client, triton):
    triton.answered_by = SPEC.model_copy(update={"release": "unknown"})
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(response, 503, "unavailable")


async def test_the_list_of_pipelines_has_the_documented_shape(client):
    answer = (await client.get("/api/v1/pipelines")).json()
    listed = shapes.adapter(description.PipelineList).validate_python(answer)
    assert (listed["default"], listed["pipelines"][0]["name"]) == ("oral_cancer", "oral_cancer")
    assert listed["pipelines"][0]["profile"] == "default"
    assert listed["pipelines"][0]["members"]["vgg16"]["sha256"] == "a" * 64
    one = (await client.get("/api/v1/pipelines/oral_cancer")).json()
    assert one == answer["pipelines"][0]


async def test_the_documentation_describes_bodies_parameters_and_answers(client):
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"]["/api/v1/predict"]["post"]
    assert set(operation["requestBody"]["content"]) == {
        "multipart/form-data",
        "image/*",
        "application/octet-stream",
        "application/json",
    }
    parameters = {"threshold", "top_k", "member", "visualization", "polygons", "explain"}
    assert {(item["in"], item["name"]) for item in operation["parameters"]} == {
        ("query", name) for name in parameters
    } | {
        ("header", "Idempotency-Key"),
        ("header", "X-Keep-Image"),
        ("header", "X-Release"),
        ("header", "X-Request-ID"),
        ("header", "X-Respond-Within-Ms"),
        ("header", "X-Signed-Receipt"),
        ("header", "X-Subject-ID"),
    }
    assert parameters == set(Parameter)
    named = document["paths"]["/api/v1/pipelines/{name}/predict"]["post"]["parameters"]
    assert {item["name"] for item in named if item["in"] != "header"} == {"name", *parameters}
    described = operation["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
    assert [shape["$ref"].rpartition("/")[2] for shape in described] == [
        "Prediction",
        "DetectionPrediction",
    ]
    problem = document["components"]["schemas"]["Problem"]
    assert "detail" in problem["properties"]
