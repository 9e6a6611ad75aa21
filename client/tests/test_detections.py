"""What a detector answers, through both clients."""

import pytest
from secondopinion import Box, ImageSize, Mask, UnexpectedAnswerError

from client.tests import documents
from client.tests.service import JSONResponse

FOUND = b"found circle 0.9 square 0.75"


def test_detections_carry_what_the_service_said(ask):
    answer = ask("detect", FOUND, pipeline="object_detection")
    circle, square = answer.predictions
    assert (circle.class_name, circle.score, circle.area) == ("circle", 0.9, 80)
    assert square.box == Box(x1=10, y1=5.5, x2=18, y2=15.5)
    assert circle.mask is circle.polygons is answer.visualization is None
    assert answer.image == ImageSize(width=100, height=50) == (100, 50)
    assert (*answer.image,) == (100, 50)
    assert answer.metrics.count == 2
    assert answer.metrics.class_distribution == {"circle": 1, "square": 1}
    assert answer.metrics.scores == (0.9, 0.75)
    assert answer.metrics.areas == (80, 80)
    assert answer.pipeline == "object_detection"
    assert answer.members["yolos"].sha256 == "cc33"
    assert answer.raw["from_a_newer_service"] == {"unknown": [1, 2, 3]}


def test_nothing_found_is_an_answer(ask):
    answer = ask("detect", b"found", pipeline="object_detection")
    assert answer.predictions == ()
    assert answer.metrics.class_distribution == {"circle": 0, "square": 0}


def test_a_segmenting_pipeline_adds_masks_and_polygons_where_they_are_asked_for(ask):
    plain = ask("detect", FOUND, pipeline="cervical_lesions").predictions[0]
    assert plain.mask == Mask(size=(50, 100), counts="PP4k1")
    assert plain.polygons is None
    outlined = ask("detect", FOUND, pipeline="cervical_lesions", polygons=True).predictions[0]
    assert outlined.polygons == ((0, 5.5, 8, 5.5, 8, 15.5),)


def test_a_visualization_is_the_bytes_of_a_png(ask, service):
    answer = ask("detect", FOUND, pipeline="object_detection", visualization=True)
    assert answer.visualization == documents.PICTURE
    assert service.asked[-1].query == {"visualization": "true"}
    ask("detect", FOUND, pipeline="object_detection", visualization=False)
    assert service.asked[-1].query == {"visualization": "false"}


def test_a_batch_has_the_detections_of_each_image_or_its_error(ask):
    images = [FOUND, b"bad", b"found", b"found circle 0.6"]
    result = ask("detect_batch", images, pipeline="object_detection")
    assert [len(item.predictions) for item in result.results] == [2, 0, 0, 1]
    assert result.results[1].error.code == "image_undecodable"
    assert result.results[1].metrics is result.results[1].image is None
    assert result.results[3].image == ImageSize(width=100, height=50)
    assert result.results[2].metrics.count == 0
    assert result.summary.counts == {"circle": 2, "square": 1}
    assert result.summary.average_confidence == pytest.approx(0.75)


def test_a_detectors_batch_without_one_good_image_is_still_a_result(ask):
    result = ask("detect_batch", [b"bad"], pipeline="object_detection")
    assert result.results[0].error.status == 422
    assert result.pipeline is None


@pytest.mark.parametrize(
    ("method", "image", "pipeline", "other"),
    [
        ("predict", FOUND, "object_detection", "detect()"),
        ("predict_batch", [FOUND], "object_detection", "detect_batch()"),
        ("detect", b"cancer 0.9", "oral_cancer", "predict()"),
        ("detect_batch", [b"cancer 0.9"], "oral_cancer", "predict_batch()"),
    ],
)
def test_asking_by_the_wrong_method_names_the_right_one(ask, method, image, pipeline, other):
    with pytest.raises(UnexpectedAnswerError) as caught:
        ask(method, image, pipeline=pipeline)
    assert other in str(caught.value)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"box": [1, 2, 3]}, "length 4, got 3 - at `$.predictions[0].box`"),
        ({"box": [1, 2, 3, "4"]}, "`float`, got `str` - at `$.predictions[0].box[3]`"),
        ({"score": None}, "`$.predictions[0].score`"),
        ({"polygons": [1, 2]}, "`array`, got `int` - at `$.predictions[0].polygons[0]`"),
        ({"mask": {"size": [1, 2]}}, "`counts`"),
    ],
)
def test_detections_of_another_shape_name_the_field(ask, service, change, named):
    said = documents.common("object_detection", "1") | documents.detections(
        "found circle 0.9", "object_detection", {}
    )
    said["predictions"][0] |= change
    service.replies.append(JSONResponse(said))
    with pytest.raises(UnexpectedAnswerError) as caught:
        ask("detect", FOUND)
    assert named in str(caught.value)


def test_a_visualization_that_is_no_base64_is_named(ask, service):
    said = documents.common("object_detection", "1") | documents.detections(
        "found", "object_detection", {}
    )
    service.replies.append(JSONResponse(said | {"visualization": "§"}))
    with pytest.raises(UnexpectedAnswerError, match="visualization"):
        ask("detect", FOUND)


def test_the_catalogue_tells_who_detects_and_in_which_precision(ask):
    detector = ask("pipeline", "object_detection")
    assert detector.detects
    assert detector.members["yolos"].precision == "fp32"
    assert ask("pipeline", "cervical_lesions").detects
