"""Drawings of lesions: what is in them is where they say."""

import numpy as np
import pytest

from demo.lesion_textures import TEXTURES, Window
from demo.lesions import FEWEST, MOST, draw
from pipelines.load import load_spec

SIZES = [(341, 256), (256, 256), (300, 500), (900, 120), (64, 64)]


def test_the_classes_are_the_shipped_pipelines():
    assert tuple(TEXTURES) == load_spec("cervical_lesions").classes


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_lesion_lies_apart_and_wholly_in_the_image(width, height):
    for seed in range(5):
        drawing = draw(seed, width, height)
        count = len(drawing.classes)
        assert FEWEST <= count <= MOST
        assert drawing.image.size == (width, height)
        assert drawing.masks.shape == (count, height, width)
        assert drawing.boxes.shape == (count, 4)
        assert drawing.masks.any(axis=(1, 2)).all()
        assert drawing.masks.sum(axis=0).max() == 1
        framed = drawing.masks.copy()
        framed[:, 1:-1, 1:-1] = False
        assert not framed.any()


def test_a_box_touches_its_mask_on_all_sides():
    drawing = draw(3, 320, 240)
    for (x1, y1, x2, y2), mask in zip(drawing.boxes.astype(int), drawing.masks, strict=True):
        inside = mask[y1:y2, x1:x2]
        assert inside.sum() == mask.sum()
        for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
            assert edge.any()


def test_the_same_seed_gives_the_same_drawing_and_another_one_another():
    first, again, other = draw(1, 128, 96), draw(1, 128, 96), draw(2, 128, 96)
    assert first.image.tobytes() == again.image.tobytes()
    assert all(np.array_equal(one, two) for one, two in zip(first[1:], again[1:], strict=True))
    assert first.image.tobytes() != other.image.tobytes()


def test_all_classes_come_up_about_as_often():
    counts = np.bincount(np.concatenate([draw(seed, 64, 64).classes for seed in range(40)]))
    assert len(counts) == len(TEXTURES)
    assert counts.min() > 0.25 * counts.sum()


def test_texture_tells_the_classes_apart():
    spreads: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for seed in range(6):
        drawing = draw(seed, 320, 320)
        green = np.asarray(drawing.image, np.float32)[..., 1]
        for kind, mask in zip(drawing.classes, drawing.masks, strict=True):
            spreads[kind].append(float(green[mask].std()))
    smooth, dotted, lined = (np.array(spreads[kind]) for kind in range(3))
    assert smooth.max() < min(dotted.min(), lined.min())
    # Dots are apart, lines meet: along a line vessels go on.
    assert _reach(TEXTURES["mosaic"]) > 2 * _reach(TEXTURES["punctation"])


def _reach(texture) -> float:
    """The longest straight run of vessels in a field of one texture, in pixels."""
    side = np.linspace(-0.15, 0.15, 150, dtype=np.float32)
    window = Window(x=side[None], y=side[:, None])
    vessels = texture(np.random.default_rng(0), window) > 0.5
    runs = [len(run) for row in vessels for run in "".join("x "[not v] for v in row).split()]
    return max(runs)
