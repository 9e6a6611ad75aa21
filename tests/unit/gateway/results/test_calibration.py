"""What answers say of calibration: whether it was done, the prediction set, and its coverage."""

import json

import numpy as np
import pytest

from gateway.results import shapes
from pipelines.load import load_spec
from pipelines.protocol import Output
from tests.unit.gateway.samples import JPEG, RAW
from tests.unit.gateway.toy_triton import SPEC

pytestmark = pytest.mark.anyio

FORMS = {
    "/api/v1/predict": shapes.Prediction,
    "/api/v1/predict/advanced": shapes.AdvancedPrediction,
    "/predict": shapes.FlatPrediction,
    "/api/v1/predict/batch": shapes.BatchPrediction,
}
BOTH = [0.1, 0.2]


def said(**members):
    ensemble = BOTH if len(members) > 1 else None
    return json.dumps({"coverage": 0.95, "ensemble": ensemble, "members": members})


@pytest.fixture
def ask(serving, triton):
    """Asks for one form of an answer of a pipeline that is calibrated as the text says."""

    async def answer(path, calibration, chosen, spec=SPEC):
        triton.calibration = calibration
        triton.temperatures = dict.fromkeys(json.loads(calibration or "{}").get("members", ()), 1.5)
        triton.altered[Output.PREDICTION_SET] = np.array(chosen, np.int32)
        client = await serving(spec)
        if "batch" in path:
            response = await client.post(path, files=[("files", ("a.jpg", JPEG, "image/jpeg"))])
        else:
            response = await client.post(path, content=JPEG, headers=RAW)
        assert response.status_code == 200, response.text
        shapes.adapter(FORMS[path.partition("?")[0]]).validate_python(response.json())
        return response.json()

    return answer


def the_image(answer):
    return answer["results"][0] if "results" in answer else answer


@pytest.mark.parametrize("path", FORMS)
async def test_every_form_has_the_set_the_most_probable_class_first(ask, path):
    answer = await ask(path, said(vgg16=BOTH, regnet=BOTH), [1, 1])
    assert (answer["calibrated"], answer["coverage"]) == (True, 0.95)
    assert the_image(answer)["set"] == ["cancer", "healthy"]


@pytest.mark.parametrize("path", FORMS)
async def test_without_a_calibration_no_form_has_a_set(ask, path):
    answer = await ask(path, None, [-1, -1])
    assert answer["calibrated"] is False
    assert "coverage" not in answer
    assert "set" not in the_image(answer)


@pytest.mark.parametrize("path", FORMS)
async def test_a_set_without_a_class_is_shown(ask, path):
    answer = await ask(path, said(vgg16=BOTH, regnet=BOTH), [0, 0])
    assert the_image(answer)["set"] == []


async def test_an_ensemble_is_calibrated_only_where_all_its_members_are(ask):
    assert not (await ask("/api/v1/predict", said(vgg16=BOTH), [-1, -1]))["calibrated"]
    alone = await ask("/api/v1/predict?member=vgg16", said(vgg16=BOTH), [0, 1])
    assert (alone["calibrated"], alone["set"]) == (True, ["cancer"])
    other = await ask("/api/v1/predict?member=regnet", said(vgg16=BOTH), [-1, -1])
    assert not other["calibrated"]


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ([1, 1], SPEC.uncertainty.no_call),
        ([0, 0], SPEC.uncertainty.no_call),
        ([1, 0], SPEC.uncertainty.no_call),  # the answer is the other class
        ([0, 1], SPEC.uncertainty.high),
    ],
)
async def test_the_recommendation_says_where_no_call_should_be_made(ask, chosen, text):
    answer = await ask("/predict", said(vgg16=BOTH, regnet=BOTH), chosen)
    assert answer["recommendation"] == text.recommendation


async def test_a_pipeline_without_such_a_text_recommends_as_at_its_level(ask):
    bands = SPEC.uncertainty.model_copy(update={"no_call": None})
    spec = SPEC.model_copy(update={"uncertainty": bands})
    answer = await ask("/predict", said(vgg16=BOTH, regnet=BOTH), [1, 1], spec)
    assert answer["recommendation"] == bands.high.recommendation


async def test_the_description_has_the_temperature_of_each_calibrated_member(serving, triton):
    triton.temperatures = {"vgg16": 1.5}
    client = await serving(SPEC)
    members = (await client.get("/api/v1/pipelines/oral_cancer")).json()["members"]
    found = {name: each["temperature"] for name, each in members.items()}
    assert found == {"vgg16": 1.5, "regnet": None}


async def test_a_detectors_answer_does_not_speak_of_calibration(serving):
    client = await serving(load_spec("object_detection"))
    answer = (await client.post("/api/v1/predict", content=JPEG, headers=RAW)).json()
    assert "calibrated" not in answer
