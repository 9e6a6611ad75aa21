"""What detectors found, from Triton's tensors to the answers over HTTP."""

import base64
from uuid import UUID

import grpc
import pytest

from gateway.results import description, shapes
from pipelines.enums import QualityWarning
from pipelines.load import load_spec
from pipelines.protocol import Refusal, refusal
from tests.unit.gateway.samples import JPEG, PNG, RAW, assert_problem, files
from tests.unit.gateway.toy_answers import HEIGHT, MASKS, PICTURE, POLYGONS, QUALITY, WIDTH
from tests.unit.gateway.toy_triton import Failure, release_of

pytestmark = pytest.mark.anyio

DETECTION, SEGMENTATION = load_spec("object_detection"), load_spec("cervical_lesions")
BOTH = pytest.mark.parametrize("spec", [DETECTION, SEGMENTATION], ids=lambda spec: spec.name)
DRAWN = base64.b64encode(PICTURE).decode()


async def post(client, path):
    response = await client.post(path, content=JPEG, headers=RAW)
    assert response.status_code == 200, response.text
    shapes.adapter(shapes.DetectionPrediction).validate_python(response.json())
    return response.json()


def asked(triton):
    """What the last request asked Triton for, besides time."""
    return {name: value for name, value in triton.seen[-1].items() if name != "timeout"}


async def test_a_detection_answers_with_objects_and_their_numbers(serving, triton):
    client = await serving(DETECTION)
    answer = await post(client, "/api/v1/pipelines/object_detection/predict")
    assert answer.pop("processing_time_ms") > 0
    assert len(answer.pop("request_id")) == 32
    assert UUID(answer.pop("prediction_id")).version == 7
    assert answer.pop("receipt")["position"] == 1
    assert answer == {
        "pipeline": "object_detection",
        "release": release_of(DETECTION),
        "input": {"typical": True, "typicality": 0.3125, "views": ["picture", "features"]},
        "compute_ms": 46.875,
        "predictions": [
            {
                "class": "triangle",
                "score": 0.9,
                "box": [10.5, 20, 110.25, 220.5],
                "area": 19999.9,
            },
            {"class": "circle", "score": 0.8, "box": [0, 0, 640, 480], "area": 307200},
            {"class": "triangle", "score": 0.55, "box": [600, 470, 640, 480], "area": 400},
        ],
        "image": {"width": WIDTH, "height": HEIGHT},
        "metrics": {
            "count": 3,
            "class_distribution": {"circle": 1, "square": 0, "triangle": 2, "star": 0},
            "scores": [0.9, 0.8, 0.55],
            "areas": [19999.9, 307200, 400],
        },
        "quality": QUALITY,
        "threshold": 0.5,
        "preprocessing": "exact",
        "members": {"yolos": {"version": "1", "sha256": "a" * 64}},
        "weights": "demo",
    }
    assert asked(triton) == {}


async def test_a_segmentation_adds_masks_as_json_objects_and_polygons_where_asked(serving):
    client = await serving(SEGMENTATION)
    plain = await post(client, "/api/v1/predict")
    assert [found["mask"] for found in plain["predictions"]] == MASKS
    assert not any("polygons" in found for found in plain["predictions"])
    outlined = await post(client, "/api/v1/predict?polygons=true")
    assert [found["polygons"] for found in outlined["predictions"]] == POLYGONS


@pytest.mark.parametrize(
    ("spec", "path", "parameters"),
    [
        (DETECTION, "/api/v1/predict", {}),
        (DETECTION, "/api/v1/predict?visualization=true", {"visualization": "true"}),
        (DETECTION, "/api/v1/predict/advanced", {"visualization": "true"}),
        (DETECTION, "/api/v1/predict/advanced?visualization=false", {"visualization": "false"}),
        (DETECTION, "/predict", {"visualization": "true"}),
        (DETECTION, "/predict?threshold=0.7", {"visualization": "true", "threshold": "0.7"}),
        (SEGMENTATION, "/api/v1/predict", {}),
        (SEGMENTATION, "/predict/", {"visualization": "true"}),
        (
            SEGMENTATION,
            "/api/v1/predict/advanced",
            {"visualization": "true", "polygons": "true"},
        ),
        (
            SEGMENTATION,
            "/api/v1/predict/advanced?polygons=false",
            {"visualization": "true", "polygons": "false"},
        ),
    ],
)
async def test_each_form_asks_for_what_it_shows_unless_the_caller_declines(
    serving, triton, spec, path, parameters
):
    answer = await post(await serving(spec), path)
    assert asked(triton) == parameters
    assert answer.get("visualization") == (
        DRAWN if parameters.get("visualization") == "true" else None
    )
    outlined = ["polygons" in found for found in answer["predictions"]]
    assert all(outlined) == any(outlined) == (parameters.get("polygons") == "true")


@BOTH
async def test_no_detection_is_an_empty_list(serving, spec):
    client = await serving(spec)
    for path in ("/api/v1/predict", "/api/v1/predict/advanced", "/predict"):
        answer = await post(client, f"{path}?threshold=0.95")
        assert answer["predictions"] == []
        assert answer["metrics"] == {
            "count": 0,
            "class_distribution": dict.fromkeys(spec.classes, 0),
            "scores": [],
            "areas": [],
        }
        assert answer["threshold"] == 0.95


async def test_a_member_of_a_detector_is_named_where_it_is_asked_alone(serving, triton):
    yolos = DETECTION.members["yolos"]
    members = {"yolos": yolos, "small": yolos.model_copy(update={"weight": 0.0})}
    client = await serving(DETECTION.model_copy(update={"members": members}))
    assert set((await post(client, "/api/v1/predict"))["members"]) == {"yolos"}
    answer = await post(client, "/api/v1/predict?member=small")
    assert (answer["member"], set(answer["members"])) == ("small", {"small"})
    assert asked(triton) == {"member": "small"}


async def test_a_batch_of_a_detector_counts_detections(serving, triton):
    async def refuses(image, _parameters):
        if b"long" in image:
            message = refusal(Refusal.IMAGE_SHAPE, "it is too long. Cut it.")
            raise Failure(grpc.StatusCode.INVALID_ARGUMENT, message)

    client = await serving(SEGMENTATION)
    triton.rules.append(refuses)
    sent = files(JPEG, JPEG + b"long", b"text", PNG)
    response = await client.post("/api/v1/predict/batch?polygons=true", files=sent)
    answer = shapes.adapter(shapes.BatchDetectionPrediction).validate_python(response.json())
    first, second, third, last = answer["results"]
    assert (second["error"]["code"], third["error"]["code"]) == ("image_shape", "image_format")
    assert second["error"]["detail"].startswith("files[1]: it is too long")
    assert first["metrics"] == last["metrics"]
    assert [found["class"] for found in first["predictions"]] == ["mosaic", "acetowhite", "mosaic"]
    assert [found["polygons"] for found in first["predictions"]] == POLYGONS
    assert response.json()["summary"] == {
        "total": 4,
        "failed": 2,
        "counts": {"acetowhite": 2, "punctation": 0, "mosaic": 4},
        "average_confidence": 0.75,
        "warned": 2,
        "warnings": dict.fromkeys(QualityWarning, 0) | {"blurred": 2},
        "compute_ms": 93.75,
        "atypical": 0,
    }


async def test_a_batch_that_finds_nothing_has_no_average(serving):
    client = await serving(DETECTION)
    response = await client.post("/api/v1/predict/batch?threshold=0.95", files=files(JPEG, PNG))
    assert response.status_code == 200
    assert response.json()["summary"] == {
        "total": 2,
        "failed": 0,
        "counts": dict.fromkeys(DETECTION.classes, 0),
        "average_confidence": None,
        "warned": 2,
        "warnings": dict.fromkeys(QualityWarning, 0) | {"blurred": 2},
        "compute_ms": 93.75,
        "atypical": 0,
    }


async def test_a_batch_has_no_pictures(serving, triton):
    client = await serving(DETECTION)
    path = "/api/v1/predict/batch?visualization="
    assert_problem(await client.post(path + "true", files=files(JPEG)), 422, "parameter_invalid")
    assert triton.seen == []
    assert (await client.post(path + "false", files=files(JPEG))).status_code == 200


@BOTH
async def test_a_pipelines_task_and_not_its_name_decides_the_shape(serving, spec):
    client = await serving(spec.model_copy(update={"name": "sixth"}))
    answer = await post(client, "/api/v1/pipelines/sixth/predict")
    assert answer["pipeline"] == "sixth"
    assert ("mask" in answer["predictions"][0]) == (spec is SEGMENTATION)


@BOTH
async def test_a_detector_is_described_in_the_documented_shape(serving, spec):
    client = await serving(spec)
    answer = (await client.get(f"/api/v1/pipelines/{spec.name}")).json()
    described = shapes.adapter(description.PipelineDescription).validate_python(answer)
    assert (described["task"], described["positive"]) == (spec.task, None)
    assert described["threshold"] == {"default": 0.5, "minimum": 0.05, "maximum": 0.95}
    assert described["limits"].get("aspect") == spec.limits.aspect
    assert {member["precision"] for member in described["members"].values()} == {"fp32"}


async def test_each_detection_counts_in_the_confidence_of_its_class(serving):
    client = await serving(DETECTION)
    await post(client, "/api/v1/predict")
    text = (await client.get("/metrics")).text
    labels = f'pipeline="object_detection",release="{release_of(DETECTION)}"'
    assert f'prediction_confidence_count{{class="triangle",{labels}}} 2.0' in text
    assert f'prediction_confidence_count{{class="circle",{labels}}} 1.0' in text
    assert "prediction_disagreement_count{" not in text
    assert "prediction_uncertainty_total{" not in text
