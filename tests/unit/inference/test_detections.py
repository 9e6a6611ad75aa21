"""From a detector's candidates to detections in the image."""

import numpy as np
import pytest

from inference.candidates import Candidates
from inference.detections import areas, find, to_image
from inference.errors import RefusedError
from inference.resize import Geometry
from pipelines.protocol import Refusal

AS_IT_IS = Geometry(100, 200, 1.0, 1.0, 0.0, 0.0)


def outputs(boxes, scores, classes, masks=None):
    given = {
        "boxes": np.array([boxes], np.float32).reshape(1, -1, 4),
        "scores": np.array([scores], np.float32),
        "classes": np.array([classes], np.int64),
    }
    return given if masks is None else given | {"masks": masks}


def candidates(boxes, scores, classes=None, masks=None):
    given = outputs(boxes, scores, classes or [0] * len(scores), masks)
    return Candidates.of(given, member="m0", classes=3)


def test_scores_from_the_threshold_on_are_kept_the_highest_first():
    boxes = [[i, 0, i + 10, 10] for i in range(5)]
    found = find(candidates(boxes, [0.3, 0.9, 0.5, 0.9, 0.49], [0, 1, 2, 0, 1]), AS_IT_IS, 0.5)
    assert found.scores.tolist() == pytest.approx([0.9, 0.9, 0.5])
    assert found.boxes[:, 0].tolist() == [1, 3, 2]  # of equal ones the member's first
    assert found.classes.tolist() == [1, 0, 2]
    assert (found.boxes.dtype, found.scores.dtype, found.classes.dtype) == ("f4", "f4", "i4")


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7, 0.9])
def test_the_answered_fp32_numbers_reproduce_what_was_kept(threshold):
    scores = (threshold + np.linspace(-1e-7, 1e-7, 41)).astype(np.float32)
    found = find(candidates([[0, 0, 9, 9]] * 41, scores), AS_IT_IS, threshold)
    assert len(found.scores) == np.count_nonzero(scores >= np.float32(threshold))
    assert 0 < len(found.scores) < 41


def test_boxes_come_back_from_a_letterbox_to_the_image():
    # 640 x 480 in 416 x 416: scaled by 0.65, 52 pixels of border above and below.
    geometry = Geometry(480, 640, 0.65, 0.65, 0.0, 52.0)
    image = np.array([[100, 200, 300, 260], [0, 0, 640, 480]], np.float32)
    pixels = image * np.float32(0.65) + np.array([0, 52, 0, 52], np.float32)
    np.testing.assert_allclose(to_image(pixels, geometry), image, atol=1e-4)
    np.testing.assert_allclose(find(candidates(pixels, [1, 1]), geometry, 0.5).boxes, image, 1e-5)


def test_boxes_are_clipped_and_those_outside_are_dropped():
    boxes = [
        [-5, -5, 250, 130],  # larger than the image
        [190, 90, 300, 300],
        [200, 0, 220, 50],  # right of it
        [0, -30, 50, 0],  # above it
        [50, 50, 50, 80],  # without width
        [80, 20, 60, 40],  # turned round
    ]
    found = find(candidates(boxes, [0.9] * 6), AS_IT_IS, 0.5)
    assert found.boxes.tolist() == [[0, 0, 200, 100], [190, 90, 200, 100]]
    assert found.mask_boxes.tolist() == boxes[:2]
    assert areas(found.boxes).tolist() == [20000, 100]


@pytest.mark.parametrize("masks", [None, np.zeros((1, 0, 28, 28), np.float32)])
def test_no_candidate_at_all_is_no_detection(masks):
    found = find(candidates([], [], masks=masks), AS_IT_IS, 0.5)
    assert found.boxes.shape == found.mask_boxes.shape == (0, 4)
    assert found.scores.shape == found.classes.shape == areas(found.boxes).shape == (0,)


def test_masks_go_with_their_boxes():
    masks = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((3, 4, 4), np.float32)
    boxes = [[0, 0, 9, 9], [300, 0, 310, 9], [5, 5, 9, 9]]
    found = find(candidates(boxes, [0.6, 0.9, 0.8], masks=masks[None]), AS_IT_IS, 0.5)
    assert found.masks[:, 0, 0].tolist() == [2, 0]


@pytest.mark.parametrize("name", ["boxes", "scores", "masks"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_refused_and_its_member_named(name, bad):
    given = outputs([[0, 0, 9, 9]] * 2, [0.9, 0.1], [0, 0], np.zeros((1, 2, 4, 4), np.float32))
    given[name][0, 1] = bad
    with pytest.raises(RefusedError, match="m0 gave a number that is not finite") as error:
        Candidates.of(given, member="m0", classes=3)
    assert error.value.code is Refusal.MODEL_OUTPUT


@pytest.mark.parametrize(
    "broken",
    [
        {"boxes": np.zeros((1, 3, 4), np.float32)},
        {"boxes": np.zeros((1, 2, 5), np.float32)},
        {"scores": np.zeros((1, 2, 1), np.float32)},
        {"classes": np.zeros((1, 3), np.int64)},
        {"masks": np.zeros((1, 2, 4), np.float32)},
        {"masks": np.zeros((1, 1, 4, 4), np.float32)},
        {"boxes": np.zeros((2, 2, 4), np.float32)},
    ],
)
def test_shapes_that_do_not_fit_each_other_are_refused(broken):
    given = outputs([[0, 0, 9, 9]] * 2, [0.9, 0.1], [0, 0], np.zeros((1, 2, 4, 4), np.float32))
    with pytest.raises(RefusedError, match="do not fit each other") as error:
        Candidates.of(given | broken, member="m0", classes=3)
    assert error.value.code is Refusal.MODEL_OUTPUT


@pytest.mark.parametrize("label", [-1, 3])
def test_a_class_that_there_is_not_is_refused(label):
    with pytest.raises(RefusedError, match="a class that is none of the 3") as error:
        candidates([[0, 0, 9, 9]], [0.9], [label])
    assert error.value.code is Refusal.MODEL_OUTPUT
