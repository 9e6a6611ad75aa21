"""What answers say of an image that is not of the kind that the models learnt from."""

import json

import numpy as np
import pytest

from gateway.results import shapes
from pipelines.load import load_spec
from pipelines.protocol import Output
from tests.unit.gateway.samples import JPEG, RAW
from tests.unit.gateway.toy_triton import REFERENCE, SPEC

pytestmark = pytest.mark.anyio

FORMS = {
    "/api/v1/predict": shapes.Prediction,
    "/api/v1/predict/advanced": shapes.AdvancedPrediction,
    "/predict": shapes.FlatPrediction,
    "/api/v1/predict/batch": shapes.BatchPrediction,
    "/api/v1/predict?member=vgg16": shapes.Prediction,
}
DETECTIONS = {
    "/api/v1/pipelines/object_detection/predict": shapes.DetectionPrediction,
    "/api/v1/pipelines/object_detection/predict/batch": shapes.BatchDetectionPrediction,
}
DETECTOR = load_spec("object_detection")


@pytest.fixture
def ask(serving, triton):
    """Asks for one form of an answer, where the tensors say so much of the image."""

    async def answer(path, typicality, typical, views, *, spec=SPEC, status=200):
        triton.altered |= {
            Output.TYPICALITY: np.array([typicality], np.float32),
            Output.TYPICAL: np.array([typical], np.int32),
            Output.TYPICALITY_VIEWS: np.array([views], np.int32),
        }
        client = await serving(spec)
        if "batch" in path:
            response = await client.post(path, files=[("files", ("a.jpg", JPEG, "image/jpeg"))])
        else:
            response = await client.post(path, content=JPEG, headers=RAW)
        assert response.status_code == status, response.text
        if status == 200:
            shape = (FORMS | DETECTIONS)[path]
            shapes.adapter(shape).validate_python(response.json())
        return response.json()

    return answer


def the_image(answer):
    return answer["results"][0] if "results" in answer else answer


@pytest.mark.parametrize("path", FORMS)
async def test_every_form_says_that_an_image_is_typical(ask, path):
    answer = await ask(path, 0.3125, 1, 2)
    assert the_image(answer)["input"] == {
        "typical": True,
        "typicality": 0.3125,
        "views": ["picture", "features"],
    }


@pytest.mark.parametrize("path", FORMS)
async def test_every_form_says_that_an_image_is_atypical_and_what_to_do(ask, path):
    answer = await ask(path, 0.002, 0, 1)
    advice = SPEC.typicality.recommendation
    assert the_image(answer)["input"] == {
        "typical": False,
        "typicality": 0.002,
        "views": ["picture"],
        "recommendation": advice,
    }
    if "advanced" in path:
        assert answer["uncertainty"]["recommendation"] == advice
    if path == "/predict":
        assert answer["recommendation"] == advice


@pytest.mark.parametrize("path", [*FORMS, *DETECTIONS])
async def test_without_a_reference_every_form_says_why_nothing_is_judged(ask, triton, path):
    triton.reference = None
    spec = DETECTOR if path in DETECTIONS else SPEC
    answer = await ask(path, np.nan, -1, 0, spec=spec)
    assert the_image(answer)["input"] == {
        "typical": None,
        "typicality": None,
        "views": [],
        "reason": "The release has no reference photos: run "
        f"python -m export {spec.name} --reference DIR.",
    }
    if "batch" in path:
        assert answer["summary"]["atypical"] is None


@pytest.mark.parametrize("path", DETECTIONS)
async def test_a_detectors_answer_says_it_too(ask, path):
    answer = await ask(path, 0.002, 0, 2, spec=DETECTOR)
    found = the_image(answer)["input"]
    assert (found["typical"], found["views"]) == (False, ["picture", "features"])
    assert found["recommendation"] == DETECTOR.typicality.recommendation
    if "batch" in path:
        assert answer["summary"]["atypical"] == 1


@pytest.mark.parametrize(("typical", "count"), [(0, 2), (1, 0)])
async def test_a_batch_counts_its_atypical_images(serving, triton, typical, count):
    triton.altered |= {Output.TYPICAL: np.array([typical], np.int32)}
    client = await serving(SPEC)
    files = [("files", (name, JPEG + name.encode(), "image/jpeg")) for name in ("a", "b")]
    answer = (await client.post("/api/v1/predict/batch", files=files)).json()
    assert answer["summary"]["atypical"] == count


@pytest.mark.parametrize(
    ("typicality", "typical", "views"),
    [
        (np.nan, -1, 0),
        (np.nan, 1, 2),
        (0.0, 0, 2),
        (1.5, 1, 2),
        (0.5, 2, 2),
        (0.5, 1, 0),
        (0.5, 1, 3),
        (np.inf, 1, 1),
    ],
)
async def test_tensors_that_contradict_each_other_are_no_answer(ask, typicality, typical, views):
    answer = await ask("/api/v1/predict", typicality, typical, views, status=500)
    assert answer["code"] == "model_output"


async def test_a_judgement_without_a_reference_is_no_answer(ask, triton):
    triton.reference = None
    assert (await ask("/api/v1/predict", 0.5, 1, 2, status=500))["code"] == "model_output"


async def test_the_list_of_pipelines_says_by_what_they_judge(serving):
    client = await serving(SPEC)
    (pipeline,) = (await client.get("/api/v1/pipelines")).json()["pipelines"]
    assert pipeline["typicality"] == {
        "false_alarms": SPEC.typicality.false_alarms,
        "views": ["picture", "features"],
        "reference": REFERENCE["sha256"],
        "photos": 1000,
        "photos_sha256": REFERENCE["photos_sha256"],
    }
    assert "typicality_reason" not in pipeline


async def test_the_list_of_pipelines_says_by_one_view_alone(serving, triton):
    triton.reference = json.dumps(REFERENCE | {"features": False})
    client = await serving(SPEC)
    (pipeline,) = (await client.get("/api/v1/pipelines")).json()["pipelines"]
    assert pipeline["typicality"]["views"] == ["picture"]


async def test_the_list_of_pipelines_says_why_one_judges_nothing(serving, triton):
    triton.reference = None
    client = await serving(SPEC)
    (pipeline,) = (await client.get("/api/v1/pipelines")).json()["pipelines"]
    assert pipeline["typicality"] is None
    assert "--reference DIR" in pipeline["typicality_reason"]

    client = await serving(SPEC.model_copy(update={"typicality": None}))
    (pipeline,) = (await client.get("/api/v1/pipelines")).json()["pipelines"]
    assert "oral_cancer.yaml says no `typicality`" in pipeline["typicality_reason"]


@pytest.mark.parametrize(("typical", "word"), [(1, "yes"), (0, "no")])
@pytest.mark.parametrize("query", ["", "?member=vgg16"])
async def test_metrics_count_judged_images_also_of_a_member_alone(
    serving, triton, typical, word, query
):
    triton.altered |= {Output.TYPICAL: np.array([typical], np.int32)}
    client = await serving(SPEC)
    await client.post(f"/api/v1/predict{query}", content=JPEG, headers=RAW)
    lines = (await client.get("/metrics")).text.splitlines()
    counts = [line for line in lines if line.startswith("prediction_typicality_total{")]
    assert len(counts) == 2
    for line in counts:
        assert line.endswith(" 1.0" if f'typical="{word}"' in line else " 0.0")
