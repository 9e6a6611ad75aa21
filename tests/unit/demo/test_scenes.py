"""Scenes: the same again from the same seed, exact boxes, and no class by its colour."""

import numpy as np
import pytest

from demo import scenes
from demo.scenes import OBJECTS, SHAPES, draw
from pipelines.load import load_spec

SIZES = [(416, 416), (640, 360), (300, 500), (900, 60)]


def mean_colours(scene):
    """The mean RGB of the inner third of each object, FP64 [n, 3]."""
    pixels = np.asarray(scene.image, np.float64)
    inner = []
    for x1, y1, x2, y2 in scene.boxes:
        x, y, reach = (x1 + x2) / 2, (y1 + y2) / 2, min(x2 - x1, y2 - y1) / 6
        rows, columns = slice(int(y - reach), int(y + reach)), slice(int(x - reach), int(x + reach))
        inner.append(pixels[rows, columns].mean((0, 1)))
    return np.array(inner)


def test_the_same_arguments_give_the_same_scene():
    one, again = draw(3, 200, 160), draw(3, 200, 160)
    assert one.image.tobytes() == again.image.tobytes()
    assert np.array_equal(one.boxes, again.boxes)
    assert np.array_equal(one.classes, again.classes)


def test_another_seed_gives_another_scene():
    assert draw(3, 200, 160).image.tobytes() != draw(4, 200, 160).image.tobytes()


def test_the_classes_are_the_pipelines():
    assert tuple(SHAPES) == load_spec("object_detection").classes


@pytest.mark.parametrize("size", SIZES)
def test_objects_lie_in_the_image_with_little_overlap(size):
    for seed in range(5):
        scene = draw(seed, *size)
        assert scene.image.size == size
        assert scene.image.mode == "RGB"
        assert OBJECTS[0] <= len(scene.boxes) == len(scene.classes) <= OBJECTS[1]
        assert (scene.boxes.dtype, scene.classes.dtype) == (np.float32, np.int64)
        assert (scene.boxes >= 0).all()
        assert (scene.boxes <= np.tile(size, 2) + 1e-3).all()
        sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
        assert sides.max() <= 0.3 * min(size) + 1e-3
        for index, box in enumerate(scene.boxes):
            for other in scene.boxes[:index]:
                shared = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
                smaller = min(np.prod(each[2:] - each[:2]) for each in (box, other))
                assert np.prod(shared.clip(0)) <= 0.051 * smaller


def test_boxes_are_exact(monkeypatch):
    # One object alone on even ground: its box is where the pixels differ.
    monkeypatch.setattr(scenes, "_GRAIN", 1)
    monkeypatch.setattr(scenes, "_NOISES", ())
    for seed in range(8):
        scene = draw(seed, 416, 416, (1, 1))
        pixels = np.asarray(scene.image, np.float64).mean(axis=2)
        lighter = pixels > pixels[0, 0] + scenes._LIGHTER / 3
        rows, columns = np.flatnonzero(lighter.any(1)), np.flatnonzero(lighter.any(0))
        found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(scene.boxes[0], found, atol=3)


def test_every_class_is_drawn_about_as_often():
    counts = np.bincount(np.concatenate([draw(seed, 64, 64).classes for seed in range(60)]))
    assert (np.abs(counts / counts.sum() - 0.25) < 0.08).all()


def test_colours_do_not_tell_the_classes_apart():
    """Neither by a linear classifier of an object's colour nor by its nearest neighbour."""
    drawn = [draw(seed, 208, 208) for seed in range(120)]
    colours = np.concatenate([mean_colours(scene) for scene in drawn]) / 255
    classes = np.concatenate([scene.classes for scene in drawn])
    half = len(classes) // 2
    features = np.column_stack([np.ones(len(colours)), colours, colours**2])
    weights = np.linalg.lstsq(features[:half], np.eye(4)[classes[:half]], rcond=None)[0]
    linear = (features[half:] @ weights).argmax(1) == classes[half:]
    distances = np.linalg.norm(colours[half:, None] - colours[None, :half], axis=2)
    nearest = classes[:half][distances.argmin(1)] == classes[half:]
    assert linear.mean() < 0.36
    assert nearest.mean() < 0.36
