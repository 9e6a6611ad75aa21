"""What a person found, as it is read and checked."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from gateway.errors import Code, RefusedError
from gateway.feedback.finding import Feedback, Kind
from pipelines.load import load_spec

CLASSES, DETECTOR, SEGMENTER = map(
    load_spec, ("oral_cancer", "object_detection", "cervical_lesions")
)
BOX = [10, 20.5, 30, 40]


def read(**fields):
    return Feedback.read(json.dumps(fields).encode())


def mask(height=50, width=60):
    pixels = np.zeros((height, width), np.uint8)
    pixels[5:20, 10:30] = 1
    counts = coco_mask.encode(np.asfortranarray(pixels))["counts"].decode("ascii")
    return {"size": [height, width], "counts": counts}


def refusal(spec, size=(60, 50), **fields):
    with pytest.raises(RefusedError) as caught:
        read(**fields).finding(spec, size)
    assert caught.value.code is Code.FEEDBACK_INVALID
    return caught.value.detail


def test_a_class_is_recorded_as_it_is_named():
    said = read(label="cancer", reader="A. Reader", comment="Seen twice.\nBiopsy.")
    assert said.finding(CLASSES, None) == {"label": "cancer"}
    assert (said.kind, said.reader, said.comment) == (
        Kind.CORRECTION,
        "A. Reader",
        "Seen twice.\nBiopsy.",
    )
    assert read(kind="before", label="healthy").kind is Kind.BEFORE


def test_boxes_are_recorded_with_their_classes_and_no_box_is_a_finding():
    name = DETECTOR.classes[0]
    said = read(objects=[{"class": name, "box": BOX}])
    assert said.finding(DETECTOR, (60, 50)) == {"objects": [{"class": name, "box": BOX}]}
    assert read(objects=[]).finding(DETECTOR, (60, 50)) == {"objects": []}


def test_a_mask_without_a_box_gets_the_box_around_it():
    name = SEGMENTER.classes[0]
    said = read(objects=[{"class": name, "mask": mask()}])
    for size in ((60, 50), None):
        (found,) = said.finding(SEGMENTER, size)["objects"]
        assert found == {"class": name, "box": [10, 5, 30, 20], "mask": mask()}


@pytest.mark.parametrize(
    ("spec", "fields", "complaint"),
    [
        (CLASSES, {}, "label: missing. Send one of: healthy, cancer."),
        (CLASSES, {"label": "tumour"}, "label: the pipeline has no such class. It has: healthy"),
        (CLASSES, {"label": "Cancer"}, "label: the pipeline has no such class"),
        (CLASSES, {"objects": []}, "objects: the pipeline classifies"),
        (CLASSES, {"label": "cancer", "objects": []}, "objects: the pipeline classifies"),
        (DETECTOR, {}, "objects: missing. Send all of the image; none: an empty list."),
        (DETECTOR, {"label": "person", "objects": []}, "label: the pipeline detects"),
        (SEGMENTER, {"objects": [{"class": "sun", "box": BOX}]}, "objects[0].class: the pipeline"),
    ],
)
def test_what_does_not_fit_the_task_or_its_classes_is_refused(spec, fields, complaint):
    assert refusal(spec, **fields).startswith(complaint)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, ".box: missing"),
        ({"box": [30, 0, 10, 40]}, ".box: it must have 0 <= x1 < x2"),
        ({"box": [-1, 0, 10, 40]}, ".box: it must have 0 <= x1 < x2"),
        ({"box": [0, 0, 60.1, 40]}, ".box: it lies beyond"),
        ({"box": [0, 0, 60, 51]}, ".box: it lies beyond"),
        ({"mask": mask(60, 50)}, ".mask.size: it is not the height and width of the image"),
        ({"mask": mask() | {"size": [50, 60]} | {"counts": "P"}}, ".mask: no mask in COCO's"),
        ({"mask": mask() | {"counts": ""}}, ".mask: no mask in COCO's"),
    ],
)
def test_a_box_or_mask_that_is_not_within_the_image_is_refused_by_its_place(given, complaint):
    first = {"class": SEGMENTER.classes[0], "box": BOX}
    detail = refusal(SEGMENTER, objects=[first, {"class": SEGMENTER.classes[1], **given}])
    assert detail.startswith(f"objects[1]{complaint}")


def test_a_box_beyond_a_mask_of_the_whole_image_is_refused_where_the_size_is_not_known():
    one = {"class": SEGMENTER.classes[0], "mask": mask(), "box": [0, 0, 61, 50]}
    assert "beyond" in refusal(SEGMENTER, size=None, objects=[one])


def test_a_mask_is_refused_where_the_pipeline_answers_boxes_alone():
    one = {"class": DETECTOR.classes[0], "mask": mask()}
    assert refusal(DETECTOR, objects=[one]).startswith("objects[0].mask: the pipeline answers")


@pytest.mark.parametrize(
    ("body", "code", "complaint"),
    [
        (b"", Code.MALFORMED_BODY, "body: it is no JSON"),
        (b"{", Code.MALFORMED_BODY, "body: it is no JSON"),
        (b'{"label": "\xff"}', Code.MALFORMED_BODY, "body: it is no JSON"),
        (b"[]", Code.FEEDBACK_INVALID, "body: "),
        (b'{"label": 3}', Code.FEEDBACK_INVALID, "label: "),
        (b'{"kind": "after"}', Code.FEEDBACK_INVALID, "kind: "),
        (b'{"Jane Doe": 1}', Code.FEEDBACK_INVALID, "body: it has an unknown key"),
        (b'{"objects": [{"class": "a", "Jane": 1}]}', Code.FEEDBACK_INVALID, "objects[0]: it has"),
        (b'{"objects": [{"class": "a", "box": [1, 2, 3]}]}', Code.FEEDBACK_INVALID, "objects[0].b"),
        (
            b'{"objects": [{"class": "a", "box": [1, 2, 3, NaN]}]}',
            Code.FEEDBACK_INVALID,
            "objects[0].box[3]: ",
        ),
        (
            b'{"objects": [{"class": "a", "box": [1, 2, 3, 1e999]}]}',
            Code.FEEDBACK_INVALID,
            "objects[0].box[3]: ",
        ),
        (b'{"comment": ""}', Code.FEEDBACK_INVALID, "comment: "),
        (b'{"comment": "a\\u0000b"}', Code.FEEDBACK_INVALID, "comment: it has control characters"),
        (b'{"reader": "a\\u001bb"}', Code.FEEDBACK_INVALID, "reader: it has control characters"),
        (b'{"comment": "\\ud800"}', Code.MALFORMED_BODY, "body: it is no JSON"),
        (b'{"comment": "' + b"x" * 10_001 + b'"}', Code.FEEDBACK_INVALID, "comment: "),
        (b'{"reader": "' + b"x" * 201 + b'"}', Code.FEEDBACK_INVALID, "reader: "),
    ],
)
def test_a_body_of_another_shape_is_refused_and_not_repeated(body, code, complaint):
    with pytest.raises(RefusedError) as caught:
        Feedback.read(body)
    assert caught.value.code is code
    assert caught.value.detail.startswith(complaint)
    assert "Jane" not in caught.value.detail
