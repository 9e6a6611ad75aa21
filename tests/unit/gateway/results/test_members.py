"""Who is heard: the members with a weight, or the one that a request names."""

import pytest

from gateway.results import description, shapes
from pipelines.load import load_spec
from tests.unit.gateway.samples import JPEG, RAW, files

pytestmark = pytest.mark.anyio

MHIST = load_spec("mhist")
PATH = "/api/v1/pipelines/mhist/predict"


@pytest.fixture
async def mhist(serving):
    return await serving(MHIST)


async def post(client, path):
    response = await client.post(path, content=JPEG, headers=RAW)
    assert response.status_code == 200, response.text
    return response.json()


async def test_an_alternative_that_was_not_asked_is_in_no_answer(mhist):
    assert set((await post(mhist, PATH))["members"]) == {"vit", "mlp"}
    advanced = await post(mhist, PATH + "/advanced")
    weights = {name: model["weight"] for name, model in advanced["models"].items()}
    assert weights == pytest.approx({"vit": 0.7, "mlp": 0.3})
    flat = await post(mhist, "/predict")
    assert flat["individual_scores"] == {"vit": 0.3, "mlp": 0.85}
    batch = (await mhist.post(PATH + "/batch", files=files(JPEG))).json()
    assert set(batch["members"]) == {"vit", "mlp"}


async def test_an_alternative_that_is_named_is_heard_alone(mhist):
    answer = await post(mhist, PATH + "/advanced?member=mlp_int8")
    shapes.adapter(shapes.AdvancedPrediction).validate_python(answer)
    assert answer["member"] == "mlp_int8"
    assert answer["models"] == {
        "mlp_int8": {
            "prediction": "HP",
            "confidence": 0.6,
            "probabilities": {"HP": 0.6, "SSA": 0.4},
            "weight": 0.0,
            "version": "3",
            "sha256": "c" * 64,
            "compute_ms": 15.625,
        }
    }
    flat = await post(mhist, "/predict?member=mlp_int8")
    assert (set(flat["individual_scores"]), set(flat["members"])) == ({"mlp_int8"}, {"mlp_int8"})


async def test_a_description_says_which_members_are_quantised(mhist):
    answer = (await mhist.get("/api/v1/pipelines/mhist")).json()
    described = shapes.adapter(description.PipelineDescription).validate_python(answer)
    assert {name: member["precision"] for name, member in described["members"].items()} == {
        "vit": "fp32",
        "mlp": "fp32",
        "mlp_int8": "int8",
    }
    assert described["members"]["mlp_int8"]["weight"] == 0
    assert "aspect" not in answer["limits"]
