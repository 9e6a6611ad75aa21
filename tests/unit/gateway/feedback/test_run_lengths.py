"""Masks of a feedback, held against COCO's own code."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from gateway.feedback.run_lengths import box_of


def encoded(pixels):
    return coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))["counts"].decode("ascii")


def around(pixels):
    rows, columns = np.nonzero(pixels)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("seed", range(60))
def test_the_box_around_a_mask_is_that_of_its_pixels(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 70, 2)
    pixels = rng.random((height, width)) < rng.choice([0.003, 0.1, 0.5, 0.99])
    pixels[rng.integers(height), rng.integers(width)] = True
    assert box_of(encoded(pixels), height, width) == around(pixels)


def test_a_large_mask_with_long_runs_is_read():
    pixels = np.zeros((5000, 4000), bool)
    pixels[1200:4800, 300:3900] = True
    assert box_of(encoded(pixels), 5000, 4000) == (300, 1200, 3900, 4800)


def test_a_mask_of_the_whole_image_is_read():
    assert box_of(encoded(np.ones((30, 20), bool)), 30, 20) == (0, 0, 20, 30)


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [
        ("", "add up"),
        (encoded(np.eye(9)), "add up"),
        (encoded(np.zeros((8, 8))), "empty"),
        (encoded(np.eye(8))[:-1] + "\x20", "characters"),
        (encoded(np.eye(8))[:-1] + "é", "characters"),
        ("P", "cut off"),
        ("P" * 2000, "characters"),
        ("O", "negative"),
    ],
)
def test_what_is_no_mask_of_the_size_is_refused(counts, complaint):
    with pytest.raises(ValueError, match=complaint):
        box_of(counts, 8, 8)
