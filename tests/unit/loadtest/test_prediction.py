"""An answer that says nothing, or something else, is none."""

import json

import numpy as np
import pytest

from loadtest.photos import Photo
from loadtest.prediction import Prediction, Reference, UnusableAnswerError
from loadtest.reply import read_http
from tests.unit.loadtest.toy_service import PIPELINE, RIGHT

PHOTO = Photo("a.jpg", b"")
FOUND = {"class": "circle", "score": 0.9, "box": [0, 0, 1, 1]}


def read(document, photos=None):
    return read_http(200, None, json.dumps(document).encode(), PIPELINE, photos)


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (RIGHT | {"pipeline": "mhist"}, "the answer is of another pipeline"),
        ({"pipeline": PIPELINE, "confidence": 0.9}, "the answer has no prediction"),
        ({"pipeline": PIPELINE, "prediction": "cancer"}, "the answer has no prediction"),
        ({"pipeline": PIPELINE, "predictions": [{"class": "x"}]}, "the answer has no prediction"),
        ([RIGHT], "the answer is not a JSON object"),
        ({}, "the answer is of another pipeline"),
    ],
)
def test_an_answer_without_a_prediction_or_of_another_pipeline_is_a_fault(document, fault):
    reply = read(document)
    assert (reply.fault, reply.predictions, reply.repeatable) == (fault, (), False)


def test_html_with_status_200_is_a_fault():
    assert read_http(200, None, b"<html>", PIPELINE, None).fault == "the answer is no JSON"


def test_a_batch_must_answer_every_photo():
    results = [RIGHT, RIGHT]
    assert len(read({"pipeline": PIPELINE, "results": results}, 2).predictions) == 2
    assert read({"pipeline": PIPELINE, "results": results}, 3).fault
    results = [RIGHT, {"error": {"code": "busy"}}]
    assert read({"pipeline": PIPELINE, "results": results}, 2).fault


def test_detections_are_compared_whole():
    one = read({"pipeline": PIPELINE, "predictions": [FOUND]}).predictions[0]
    two = read({"pipeline": PIPELINE, "predictions": [FOUND, FOUND]}).predictions[0]
    assert one.differs(two)
    assert not one.differs(Prediction(("circle",), (0.9005,)))
    assert one.differs(Prediction(("circle",), (0.902,)))
    assert one.differs(Prediction(("circle",), (float("nan"),)))


def test_tensors_and_json_give_the_same_verdict():
    classes = ["healthy", "cancer"]
    scores = np.array([0.9], np.float32).tolist()
    assert not Prediction.of_indices([1], scores, classes).differs(read(RIGHT).predictions[0])
    with pytest.raises(UnusableAnswerError):
        Prediction.of_indices([2], scores, classes)


def test_the_first_answer_is_the_reference():
    reference = Reference()
    reference.learn(PHOTO, Prediction(("cancer",), (0.9,)))
    reference.learn(PHOTO, Prediction(("healthy",), (0.9,)))
    assert reference.fault([PHOTO], [Prediction(("cancer",), (0.9,))]) == ""
    assert "a.jpg" in reference.fault([PHOTO], [Prediction(("healthy",), (0.9,))])
    assert reference.fault([PHOTO], []) == "0 answers to 1 photos"
