"""Metrics of detectors, on images whose average precision is known."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from evaluation.metrics.detection import match, mean_average_precision, rates
from evaluation.metrics.objects import Found, Truth

CLASSES = ["circle", "square"]
BOX = (10.0, 10.0, 50.0, 50.0)
FAR = (60.0, 60.0, 90.0, 90.0)


def rle(box, size=100):
    pixels = np.zeros((size, size), np.uint8, order="F")
    x1, y1, x2, y2 = map(int, box)
    pixels[y1:y2, x1:x2] = 1
    coded = coco_mask.encode(pixels)
    return {"size": list(coded["size"]), "counts": coded["counts"].decode()}


def truth(label="circle", box=BOX, **more):
    return Truth(label, box, rle(box), **more)


def found(score=0.9, label="circle", box=BOX, mask=None):
    return Found(label, score, box, mask or rle(box))


TWO_IMAGES = [[truth(), truth("square", FAR)], [truth("square")]]
PERFECT = [[found(0.9), found(0.6, "square", FAR)], [found(0.7, "square")]]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_perfect_detections_have_an_average_precision_of_one(kind):
    scores = mean_average_precision(TWO_IMAGES, PERFECT, CLASSES, kind)
    assert scores.at_50 == pytest.approx(1)
    assert scores.at_50_95 == pytest.approx(1)
    assert [scores.classes[name].objects for name in CLASSES] == [1, 2]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_boxes_shifted_off_their_objects_have_zero(kind):
    shifted = (52.0, 52.0, 92.0, 92.0)
    scores = mean_average_precision([[truth()]], [[found(box=shifted)]], CLASSES, kind)
    assert scores.at_50 == 0


def test_the_right_box_of_the_wrong_class_has_zero():
    assert mean_average_precision([[truth()]], [[found(label="square")]], CLASSES).at_50 == 0


def test_half_of_the_objects_found_gives_the_recalls_up_to_a_half():
    # Precision is 1 at the recalls 0, 0.01, ... 0.5: 51 of COCO's 101, and 0 above.
    scores = mean_average_precision(
        [[truth(), truth(box=FAR)]], [[found(0.9), found(0.1, box=(0.0, 90.0, 9.0, 99.0))]], CLASSES
    )
    assert scores.at_50 == pytest.approx(51 / 101)
    assert scores.classes["circle"].curve[50:52] == [pytest.approx(1), 0]


def test_a_false_alarm_above_a_hit_halves_the_precision():
    nowhere = found(0.95, box=(0.0, 90.0, 9.0, 99.0))
    scores = mean_average_precision([[truth()]], [[nowhere, found(0.9)]], CLASSES)
    assert scores.at_50 == pytest.approx(0.5)


def test_a_box_of_an_iou_of_three_quarters_counts_for_the_ious_up_to_it():
    # 40 x 40 against its upper 40 x 30: 1200 / 1600 = 0.75, met at 0.5, 0.55, ... 0.75: 6 of 10.
    scores = mean_average_precision([[truth()]], [[found(box=(10.0, 10.0, 50.0, 40.0))]], CLASSES)
    assert scores.at_50 == pytest.approx(1)
    assert scores.at_50_95 == pytest.approx(0.6)


def test_masks_are_compared_as_masks():
    quarter = rle((10.0, 10.0, 30.0, 30.0))
    boxes = mean_average_precision([[truth()]], [[found(mask=quarter)]], CLASSES)
    masks = mean_average_precision([[truth()]], [[found(mask=quarter)]], CLASSES, "segm")
    assert (boxes.at_50, masks.at_50) == (pytest.approx(1), 0)


def test_a_class_without_objects_is_undefined_and_left_out_of_the_mean():
    scores = mean_average_precision([[truth()]], [[found()]], CLASSES)
    assert scores.classes["square"].at_50 is None
    assert scores.at_50 == pytest.approx(1)


def test_without_objects_nothing_is_defined():
    assert mean_average_precision([[]], [[found()]], CLASSES).at_50 is None


def test_without_detections_it_is_zero():
    assert mean_average_precision([[truth()]], [[]], CLASSES).at_50 == 0


def test_what_is_found_in_a_crowd_counts_neither_for_nor_against():
    crowd = [[truth(), truth(box=FAR, crowd=True)]]
    detections = [[found(0.9), found(0.95, box=FAR), found(0.94, box=FAR)]]
    scores = mean_average_precision(crowd, detections, CLASSES)
    assert scores.at_50 == pytest.approx(1)
    assert scores.classes["circle"].objects == 1
    (matched,) = match(crowd, detections, CLASSES, 0.5)
    assert (matched.hits, matched.false_alarms, matched.missed) == (1, 0, 0)


def test_matches_are_counted_image_by_image_from_the_threshold_on():
    detections = [[found(0.5), found(0.4, "square", FAR)], [found(0.7, "circle")]]
    first, second = match(TWO_IMAGES, detections, CLASSES, 0.5)
    assert (first.hits, first.false_alarms, first.missed) == (1, 0, 1)
    assert (second.hits, second.false_alarms, second.missed) == (0, 1, 1)


def test_a_second_detection_of_an_object_is_a_false_alarm():
    (matched,) = match([[truth()]], [[found(0.9), found(0.8)]], CLASSES, 0.5)
    assert (matched.hits, matched.false_alarms) == (1, 1)


def test_more_detections_than_coco_takes_are_all_counted():
    many = [found(0.9, box=(0.0, 90.0, 9.0, 99.0))] * 150
    (matched,) = match([[truth()]], [many], CLASSES, 0.5)
    assert matched.false_alarms == 150


def test_a_bad_mask_in_a_good_box_lowers_the_mask_iou():
    quarter = rle((10.0, 10.0, 30.0, 30.0))
    (matched,) = match([[truth()]], [[found(mask=quarter)]], CLASSES, 0.5)
    assert matched.mask_ious == [pytest.approx(0.25)]


def test_objects_without_masks_have_no_mask_iou():
    (matched,) = match([[Truth("circle", BOX)]], [[Found("circle", 0.9, BOX)]], CLASSES, 0.5)
    assert (matched.hits, matched.mask_ious) == (1, [])


def test_rates_follow_from_the_counts():
    found_rates = rates(hits=6, false_alarms=2, missed=4)
    assert found_rates.precision == pytest.approx(0.75)
    assert found_rates.recall == pytest.approx(0.6)
    assert found_rates.f1 == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    nothing = rates(0, 0, 0)
    assert (nothing.precision, nothing.recall, nothing.f1) == (None, None, None)


def test_images_that_do_not_pair_up_are_refused():
    with pytest.raises(ValueError, match="of 1 images and found of 2"):
        mean_average_precision([[]], [[], []], CLASSES)


def test_an_unknown_class_and_a_missing_mask_are_refused():
    with pytest.raises(ValueError, match="'star' is none of the classes"):
        mean_average_precision([[truth("star")]], [[]], CLASSES)
    with pytest.raises(ValueError, match="has no mask"):
        mean_average_precision([[Truth("circle", BOX)]], [[]], CLASSES, "segm")


def test_it_says_nothing_on_standard_output(capsys):
    mean_average_precision(TWO_IMAGES, PERFECT, CLASSES)
    match(TWO_IMAGES, PERFECT, CLASSES, 0.5)
    assert capsys.readouterr() == ("", "")
