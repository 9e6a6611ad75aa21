"""Objects and lesions are found where the libraries' own models find them."""

import base64
import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from tritonclient.utils import InferenceServerException

from pipelines.enums import Task
from pipelines.protocol import Detected
from tests import detector_recipe, photos
from tests.integration.service import running
from tests.integration.triton import infer, infer_together

HALF_A_PIXEL = 0.5
NAMES = ("object_detection", "cervical_lesions")


@pytest.fixture(scope="module", params=NAMES)
def expected(request, five):
    """A pipeline's name and what the plain recipe finds in its photos."""
    name = request.param
    (member,) = five.specs[name].answering_members
    spec = five.specs[name]
    model = detector_recipe.load(spec, five.checkpoints[name][member])
    found = [detector_recipe.find(file, spec, model) for file in five.photos]
    return name, found


def test_every_photo_has_five_detections_or_more(expected):
    _, recipe = expected
    assert min(len(found.scores) for found in recipe) >= 5


def test_http_answers_equal_the_plain_recipe(five, http, expected):
    name, recipe = expected
    for file, found in zip(five.photos, recipe, strict=True):
        reply = http.post(f"/api/v1/pipelines/{name}/predict", files={"file": file})
        assert reply.status_code == 200, reply.text
        answer = reply.json()
        predictions = answer["predictions"]
        classes = five.specs[name].classes
        check(
            found,
            boxes=np.array([item["box"] for item in predictions]),
            scores=np.array([item["score"] for item in predictions]),
            classes=np.array([classes.index(item["class"]) for item in predictions]),
            masks=[item["mask"] for item in predictions if "mask" in item],
        )
        assert answer["metrics"]["count"] == len(predictions)
        assert sum(answer["metrics"]["class_distribution"].values()) == len(predictions)
        assert answer["metrics"]["areas"] == [item["area"] for item in predictions]
        assert "visualization" not in answer


def test_grpc_answers_equal_the_plain_recipe(five, triton, expected):
    name, recipe = expected
    masked = five.specs[name].task is Task.SEGMENTATION
    for file, found in zip(five.photos, recipe, strict=True):
        answer = infer(triton, name, file)
        masks = [json.loads(rle) for rle in answer[Detected.MASKS][0]] if masked else []
        check(
            found,
            boxes=answer[Detected.BOXES][0],
            scores=answer[Detected.SCORES][0],
            classes=answer[Detected.CLASSES][0],
            masks=masks,
        )
        assert answer[Detected.VISUALIZATION][0, 0] == b""


def check(found, *, boxes, scores, classes, masks):
    """The same count; each of the recipe's detections has its own counterpart."""
    assert len(scores) == len(found.scores)
    assert (np.diff(scores) <= 0).all(), "the largest score first"
    free = set(range(len(scores)))
    for index, box in enumerate(found.boxes):
        same = [k for k in free if classes[k] == found.classes[index]]
        assert same, "a detection of another class"
        distance, nearest = min((np.abs(boxes[k] - box).max(), k) for k in same)
        assert distance <= HALF_A_PIXEL
        assert scores[nearest] == pytest.approx(found.scores[index], abs=1e-3)
        if found.masks is not None:
            mask = coco.decode(masks[nearest]).astype(bool)
            union = (mask | found.masks[index]).sum()
            assert union == 0 or (mask & found.masks[index]).sum() / union > 0.99
        free.remove(nearest)


@pytest.mark.parametrize("name", NAMES)
def test_photos_asked_at_once_are_answered_as_alone(five, triton, name):
    alone = [infer(triton, name, file) for file in five.photos[:8]]
    together = infer_together(triton, name, [(file, {}) for file in five.photos[:8]])
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(other[Detected.BOXES], one[Detected.BOXES], atol=0.05)
        np.testing.assert_array_equal(other[Detected.CLASSES], one[Detected.CLASSES])


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_drawn_where_it_is_asked_for(five, http, name):
    file = photos.encoded(photos.photo(5, 500, 300), orientation=6)
    answer = http.post(
        f"/api/v1/pipelines/{name}/predict?visualization=true", files={"file": file}
    ).json()
    assert answer["image"] == {"width": 300, "height": 500}
    with Image.open(io.BytesIO(base64.b64decode(answer["visualization"]))) as picture:
        assert picture.format == "PNG"
        assert picture.width / picture.height == pytest.approx(300 / 500, abs=0.01)


def test_outlines_come_where_they_are_asked_for(five, http):
    path = "/api/v1/pipelines/cervical_lesions/predict?polygons=true"
    answer = http.post(path, files={"file": five.photos[0]}).json()
    size = answer["image"]
    for item in answer["predictions"]:
        (outline, *_others) = item["polygons"]
        xs, ys = outline[::2], outline[1::2]
        assert len(xs) == len(ys) >= 3
        assert 0 <= min(xs) <= max(xs) <= size["width"]
        assert 0 <= min(ys) <= max(ys) <= size["height"]
        x1, y1, x2, y2 = item["box"]
        assert min(xs) >= x1 - 2
        assert max(xs) <= x2 + 2
        assert min(ys) >= y1 - 2
        assert max(ys) <= y2 + 2


@pytest.mark.parametrize("name", NAMES)
def test_older_systems_get_the_flat_answer_of_a_detector(five, tmp_path, name):
    places = ("--specs", str(five.specs_folder), "--pipelines", name)
    settings = {"GATEWAY_DEFAULT_PIPELINE": name}
    with running(five.repository, tmp_path, *places, **settings) as service:
        files = {"file": five.photos[0]}
        answer = httpx.post(f"{service.url}/predict", files=files, timeout=60)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["predictions"]
    assert base64.b64decode(body["visualization"]).startswith(b"\x89PNG")
    assert {"class_distribution", "scores", "areas"} <= body["metrics"].keys()


@pytest.mark.parametrize("name", NAMES)
def test_no_detection_is_an_empty_list(five, http, triton, name):
    path = f"/api/v1/pipelines/{name}/predict?threshold=1&visualization=true"
    answer = http.post(path, files={"file": five.photos[0]})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["predictions"] == []
    assert body["metrics"]["count"] == 0
    assert body["metrics"]["class_distribution"] == dict.fromkeys(five.specs[name].classes, 0)
    assert base64.b64decode(body["visualization"]).startswith(b"\x89PNG")
    over_grpc = infer(triton, name, five.photos[0], parameters={"threshold": "1"})
    assert over_grpc[Detected.BOXES].shape == (1, 0, 4)
    assert over_grpc[Detected.SCORES].shape == (1, 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_over_http_answers_image_by_image(five, http, name):
    files = [("files", five.photos[0]), ("files", b"no image"), ("files", five.photos[1])]
    answer = http.post(f"/api/v1/pipelines/{name}/predict/batch", files=files)
    assert answer.status_code == 200, answer.text
    first, broken, third = answer.json()["results"]
    assert first["predictions"]
    assert third["predictions"]
    assert broken["error"]["code"] == "image_format"
    summary = answer.json()["summary"]
    assert (summary["total"], summary["failed"]) == (3, 1)
    counted = sum(len(result["predictions"]) for result in (first, third))
    assert sum(summary["counts"].values()) == counted


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("object_detection", r"\[images_many\]"),
        # Triton knows that this one takes no batches, and says so before our step is asked.
        ("cervical_lesions", "batch-size must be <= 1"),
    ],
)
def test_two_images_in_one_grpc_request_are_refused(five, triton, name, words):
    with pytest.raises(InferenceServerException, match=words):
        infer(triton, name, *five.photos[:2])
    assert infer(triton, name, five.photos[0])[Detected.SCORES].shape[1] >= 5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("threshold=0.01", "parameter_invalid"),
        ("threshold=nan", "parameter_invalid"),
        ("top_k=1", "parameter_unknown"),
        ("visualization=perhaps", "parameter_invalid"),
        ("member=other", "member_unknown"),
    ],
)
def test_a_wrong_choice_is_refused(five, http, name, query, code):
    answer = http.post(f"/api/v1/pipelines/{name}/predict?{query}", files={"file": five.photos[0]})
    assert answer.status_code == (404 if code == "member_unknown" else 422), answer.text
    assert answer.json()["code"] == code


def test_outlines_of_boxes_are_refused(five, http):
    path = "/api/v1/pipelines/object_detection/predict?polygons=true"
    answer = http.post(path, files={"file": five.photos[0]})
    assert (answer.status_code, answer.json()["code"]) == (422, "parameter_unknown")


@pytest.mark.parametrize("name", NAMES)
def test_a_higher_threshold_answers_less(five, http, name):
    path = f"/api/v1/pipelines/{name}/predict"
    low, high = (
        http.post(f"{path}?threshold={threshold}", files={"file": five.photos[0]}).json()
        for threshold in (0.05, 0.7)
    )
    assert low["threshold"] == pytest.approx(0.05)
    assert len(low["predictions"]) > len(high["predictions"])
    assert all(item["score"] >= 0.7 for item in high["predictions"])


@pytest.mark.parametrize("name", NAMES)
def test_an_image_of_one_pixel_is_answered(http, name):
    dot = photos.encoded(photos.photo(3, 1, 1), "PNG")
    answer = http.post(f"/api/v1/pipelines/{name}/predict?visualization=1", files={"file": dot})
    assert answer.status_code == 200, answer.text
    assert answer.json()["image"] == {"width": 1, "height": 1}


@pytest.mark.parametrize("name", NAMES)
def test_an_extreme_aspect_ratio_is_refused_by_its_limit(five, http, name):
    long = photos.encoded(photos.photo(3, 4000, 8), "PNG")
    answer = http.post(f"/api/v1/pipelines/{name}/predict", files={"file": long})
    assert (answer.status_code, answer.json()["code"]) == (422, "image_shape")
    assert f"{five.specs[name].limits.aspect:g}" in answer.json()["detail"]
