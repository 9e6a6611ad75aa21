"""Masks in the image: as torchvision pastes them, as COCO encodes them, as polygons."""

import json
import tracemalloc

import numpy as np
import pytest
import torch
from contourpy import FillType, contour_generator
from PIL import Image
from pycocotools import mask as coco

from export.torchvision_ops import ensure_declared
from inference.detections import Detections, located
from inference.masks import Stretched
from inference.outlines import outlines
from inference.rle import encode

ensure_declared()
from torchvision.models.detection.roi_heads import paste_masks_in_image  # noqa: E402

FRAME = (180, 240)
BOXES = {
    "inside": (30.3, 20.7, 150.9, 140.2),
    "small": (60.5, 60.5, 67.2, 65.1),
    "tiny": (60.2, 60.4, 60.9, 61.3),
    "over the left and upper edge": (-40.7, -30.2, 80.4, 70.6),
    "over the right and lower edge": (150.1, 100.9, 300.3, 260.8),
    "whole": (0.0, 0.0, 240.0, 180.0),
    "larger than the image": (-100.0, -100.0, 400.0, 300.0),
    "flat": (10.0, 90.0, 230.0, 93.0),
    "high": (100.0, 1.0, 104.0, 179.0),
    "outside": (260.0, 10.0, 300.0, 60.0),
}


def blob(seed, roughness=3):
    """[28, 28] probabilities: a smooth shape; a rough one may have parts and holes."""
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.normal(0, 1, (5, 5)).astype(np.float32))
    rough = np.asarray(noise.resize((28, 28), Image.Resampling.BICUBIC))
    y, x = np.mgrid[:28, :28] / 28 - 0.5
    return (1 / (1 + np.exp(20 * np.hypot(x, y) - 6 - roughness * rough))).astype(np.float32)


def pasted(mask, box, frame=FRAME):
    """What torchvision makes of it, [H, W] bool."""
    tensors = torch.from_numpy(mask)[None, None], torch.tensor([box], dtype=torch.float32)
    return (paste_masks_in_image(*tensors, frame)[0, 0] > 0.5).numpy()


def stretched(mask, box, frame=FRAME):
    return Stretched.over(mask, np.array(box, np.float32), frame)


def in_frame(window, frame=FRAME):
    full = np.zeros(frame, np.uint8, order="F")
    height, width = window.inside.shape
    full[window.top : window.top + height, window.left : window.left + width] = window.inside
    return full


def iou(one, other):
    one, other = one.astype(bool), other.astype(bool)
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


@pytest.mark.parametrize("box", [box for name, box in BOXES.items() if name != "outside"])
@pytest.mark.parametrize("seed", range(5))
def test_a_mask_is_pasted_as_torchvision_does(box, seed):
    window = stretched(blob(seed), box).window()
    expected = pasted(blob(seed), box)
    assert abs(window.area - expected.sum()) <= 1
    if expected.any():
        assert iou(in_frame(window), expected) > 0.999


def test_most_masks_equal_torchvisions_in_every_pixel():
    rng = np.random.default_rng(7)
    equal = 0
    for seed in range(50):
        corner, size = rng.uniform(-4, 150, 2), rng.uniform(8, 120, 2)
        box = (*corner, *(corner + size))
        window = stretched(blob(seed), box).window()
        equal += np.array_equal(in_frame(window).astype(bool), pasted(blob(seed), box))
    assert equal >= 48


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("mask", [blob(0), np.ones((28, 28), np.float32), np.zeros((4, 4), "f4")])
def test_runs_are_those_that_pycocotools_makes_of_the_whole_image(box, mask):
    window = stretched(mask, box).window()
    full = in_frame(window)
    runs = json.loads(encode(window, FRAME))
    assert runs["size"] == list(FRAME)
    assert runs["counts"] == coco.encode(full)["counts"].decode()
    np.testing.assert_array_equal(coco.decode(runs), full)
    assert coco.area(runs) == window.area == full.sum()


@pytest.mark.parametrize("frame", [(1, 1), (1, 7), (7, 1)])
def test_an_image_of_one_row_or_pixel_has_masks_too(frame):
    box = (0.0, 0.0, float(frame[1]), float(frame[0]))
    mask = np.ones((28, 28), np.float32)
    window = stretched(mask, box, frame).window()
    np.testing.assert_array_equal(in_frame(window, frame).astype(bool), pasted(mask, box, frame))
    assert coco.area(json.loads(encode(window, frame))) == window.area


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", ["inside", "over the left and upper edge", "whole"])
def test_polygons_cover_what_the_mask_covers(name, seed):
    mask = stretched(blob(seed, roughness=1), BOXES[name])
    drawn = coco.decode(coco.merge(coco.frPyObjects(outlines(mask), *FRAME)))
    assert iou(drawn, in_frame(mask.window())) > 0.97


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", ["inside", "tiny", "over the left and upper edge", "whole"])
def test_polygons_are_those_that_contourpy_makes(name, seed):
    """Also of noise, where inner corners lie opposite each other and parts have holes."""
    noise = np.random.default_rng(seed).random((14, 14), dtype=np.float32)
    mask = stretched(blob(seed) if seed % 2 else noise, BOXES[name])
    assert sorted(map(turned, outlines(mask))) == sorted(map(turned, by_contourpy(mask)))


def turned(polygon):
    """The same closed line, from its smallest point on."""
    points = list(map(tuple, np.reshape(polygon, (-1, 2)).tolist()))
    return min(points[start:] + points[:start] for start in range(len(points)))


def by_contourpy(mask):
    (left, right), (top, bottom) = mask.columns, mask.rows
    most = 2 * mask.cells.shape[0]
    xs = np.linspace(left, right - 1, min(right - left, most))
    ys = np.linspace(top, bottom - 1, min(bottom - top, most))
    values = np.pad(mask.values(xs, ys).T.astype(np.float64), 1)
    generator = contour_generator(
        np.concatenate([[left], xs + 0.5, [right]]),
        np.concatenate([[top], ys + 0.5, [bottom]]),
        values,
        fill_type=FillType.OuterOffset,
    )
    parts, offsets = generator.filled(0.5, np.inf)
    return [
        np.round(points[: ends[1] - 1], 1).reshape(-1).tolist()
        for points, ends in zip(parts, offsets, strict=True)
    ]


def test_a_polygon_has_the_images_coordinates_to_a_tenth():
    disc = (np.hypot(*(np.mgrid[:28, :28] - 13.5)) < 10).astype(np.float32)
    (polygon,) = outlines(stretched(disc, (40.0, 20.0, 152.0, 132.0)))
    xs, ys = np.array(polygon).reshape(-1, 2).T
    assert (xs.min() + xs.max()) / 2 == pytest.approx(96, abs=1)
    assert (ys.min() + ys.max()) / 2 == pytest.approx(76, abs=1)
    assert (xs.max() - xs.min()) / 2 == pytest.approx(40, abs=3)
    assert polygon == [round(value, 1) for value in polygon]
    assert polygon[:2] != polygon[-2:]


def test_two_parts_are_two_polygons_and_a_hole_is_none():
    parts = np.zeros((28, 28), np.float32)
    parts[4:10, 4:24] = parts[16:26, 4:24] = 1
    parts[20:22, 10:14] = 0
    assert len(outlines(stretched(parts, BOXES["inside"]))) == 2


@pytest.mark.parametrize("box", [BOXES["inside"], BOXES["outside"]])
def test_an_empty_mask_has_no_polygon_and_no_area(box):
    mask = stretched(np.zeros((28, 28), np.float32), box)
    assert outlines(mask) == []
    assert mask.window().area == 0


def detections(count, frame):
    boxes = np.array([[0, 0, frame[1], frame[0]]] * count, np.float32).reshape(-1, 4)
    masks = np.array([blob(seed) for seed in range(count)], np.float32).reshape(-1, 28, 28)
    scores, classes = np.ones(count, np.float32), np.zeros(count, np.int32)
    return Detections(boxes, scores, classes, masks, boxes)


def test_many_masks_of_a_large_image_need_the_memory_of_one():
    frame = (5000, 5000)
    found = detections(5, frame)
    tracemalloc.start()
    located(found, frame, polygons=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120 * 2**20  # five images of bytes alone would be 125


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("polygons", [False, True])
def test_an_answer_has_one_entry_for_each_detection(count, polygons):
    tensors = located(detections(count, FRAME), FRAME, polygons=polygons)
    assert {name: len(array) for name, array in tensors.items()} == dict.fromkeys(tensors, count)
    for runs, outline, area in zip(
        tensors["masks"], tensors["polygons"], tensors["areas"], strict=True
    ):
        assert coco.area(json.loads(runs)) == area
        assert bool(outline) is polygons
