"""Drawings of oral mucosa: no class by its colour, and as before for any size."""

import numpy as np
import pytest
from PIL import Image

from demo.drawings import SIDE, draw
from demo.measuring import colour_baseline
from demo.subject import subject_for
from pipelines.load import load_spec


def dataset(count, seed):
    return subject_for(load_spec("oral_cancer")).dataset(count, seed, SIDE, SIDE)


@pytest.mark.parametrize("size", [(640, 480), (300, 500)])
@pytest.mark.parametrize("positive", [False, True])
def test_a_drawing_of_another_size_shows_the_same_when_stretched(positive, size):
    served = draw(positive, 5, *size).resize((224, 224), Image.Resampling.BILINEAR)
    difference = np.asarray(served, float) - np.asarray(draw(positive, 5), float)
    assert np.abs(difference).mean() < 6


def test_colour_statistics_do_not_tell_the_classes_apart():
    assert colour_baseline(*dataset(200, 0), *dataset(200, 1)) < 0.65


def test_the_colour_baseline_finds_colour_where_there_is_some():
    pixels, labels = dataset(60, 0)
    red = (pixels * (1 - 0.2 * labels[:, None, None, None])).astype(np.uint8)
    assert colour_baseline(red[:40], labels[:40], red[40:], labels[40:]) > 0.9
