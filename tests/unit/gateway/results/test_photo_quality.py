"""The quality of a photo in every form of an answer."""

import grpc
import numpy as np
import pytest

from pipelines.load import load_spec
from pipelines.protocol import Output, Refusal, refusal
from tests.unit.gateway.samples import JPEG, RAW, assert_problem, files
from tests.unit.gateway.toy_answers import QUALITY
from tests.unit.gateway.toy_triton import SPEC, Failure

pytestmark = pytest.mark.anyio

FORMS = ("/api/v1/predict", "/api/v1/predict/advanced", "/predict")


@pytest.mark.parametrize("name", ["oral_cancer", "object_detection", "cervical_lesions"])
async def test_every_form_says_what_is_poor_about_the_photo(serving, name):
    client = await serving(load_spec(name))
    for path in FORMS:
        response = await client.post(path, content=JPEG, headers=RAW)
        assert response.json()["quality"] == QUALITY
    response = await client.post("/api/v1/predict/batch", files=files(JPEG, JPEG))
    assert [result["quality"] for result in response.json()["results"]] == [QUALITY] * 2


async def test_a_measure_that_does_not_apply_is_null(serving, triton):
    client = await serving(SPEC)
    triton.altered[Output.QUALITY] = np.full(7, np.nan, np.float32)
    triton.altered[Output.QUALITY_WARNINGS] = np.full(6, -1, np.int32)
    quality = (await client.post("/api/v1/predict", content=JPEG, headers=RAW)).json()["quality"]
    assert quality == {"warnings": []} | dict.fromkeys(set(QUALITY) - {"warnings"})


async def test_a_warning_without_a_bound_in_the_facts_is_no_answer(serving, triton):
    bounds = SPEC.quality.model_copy(update={"blurred": None})
    client = await serving(SPEC.model_copy(update={"quality": bounds}))
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(response, 500, "model_output")
    triton.altered[Output.QUALITY_WARNINGS] = np.array([-1, 0, 0, 0, 0, 0], np.int32)
    answer = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert answer.json()["quality"]["warnings"] == []


async def test_a_photo_that_is_refused_names_the_remedy(serving, triton):
    client = await serving(SPEC)
    text = refusal(Refusal.IMAGE_QUALITY, "the image is blurred. Hold the camera still.")
    triton.failures.append(Failure(grpc.StatusCode.INVALID_ARGUMENT, text))
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(response, 422, "image_quality")
    assert response.json()["detail"] == "body: the image is blurred. Hold the camera still."


async def test_a_pipelines_bounds_are_described(serving):
    client = await serving(SPEC)
    described = (await client.get("/api/v1/pipelines/oral_cancer")).json()["quality"]
    assert described["blurred"] == {"below": SPEC.quality.blurred.below, "refuse": False}
    assert set(described) == {
        *("blurred", "dark", "overexposed", "small", "recompressed", "colour_profile")
    }
