"""Drawings: the same again from the same seed, and no class by its colour."""

import numpy as np
import pytest
from PIL import Image

from export.demo import samples
from export.demo.drawings import HARD_SHARE, cases, dataset, draw, is_hard
from export.demo.evaluation import colour_baseline


def test_the_same_arguments_give_the_same_pixels():
    assert draw(True, 7).tobytes() == draw(True, 7).tobytes()
    assert dataset(4, 3)[0].tobytes() == dataset(4, 3)[0].tobytes()


@pytest.mark.parametrize(("positive", "seed"), [(False, 7), (True, 8)])
def test_another_class_or_seed_gives_another_drawing(positive, seed):
    assert draw(positive, seed).tobytes() != draw(True, 7).tobytes()


@pytest.mark.parametrize("size", [(640, 480), (300, 500)])
@pytest.mark.parametrize("positive", [False, True])
def test_a_drawing_of_another_size_shows_the_same_when_stretched(positive, size):
    served = draw(positive, 5, *size).resize((224, 224), Image.Resampling.BILINEAR)
    difference = np.asarray(served, float) - np.asarray(draw(positive, 5), float)
    assert np.abs(difference).mean() < 6


def test_a_dataset_has_as_many_of_each_class_in_mixed_order():
    pixels, labels = dataset(20, 1)
    assert pixels.shape == (20, 224, 224, 3)
    assert pixels.dtype == np.uint8
    assert labels.sum() == 10
    assert len(set(labels[:10])) == 2


def test_datasets_of_two_seeds_share_no_drawing():
    assert not set(cases(500, 0)) & set(cases(500, 1))


def test_colour_statistics_do_not_tell_the_classes_apart():
    assert colour_baseline(*dataset(200, 0), *dataset(200, 1)) < 0.65


def test_the_colour_baseline_finds_colour_where_there_is_some():
    pixels, labels = dataset(60, 0)
    red = (pixels * (1 - 0.2 * labels[:, None, None, None])).astype(np.uint8)
    assert colour_baseline(red[:40], labels[:40], red[40:], labels[40:]) > 0.9


def test_about_the_stated_share_is_hard():
    hard = np.mean([is_hard(*case) for case in cases(2000, 0)])
    assert abs(hard - HARD_SHARE) < 0.03


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_the_committed_samples_are_what_the_command_writes(name, tmp_path):
    samples.main(tmp_path)
    path = tmp_path / f"{name}.jpg"
    assert path.stat().st_size < 120_000
    with Image.open(path) as written, Image.open(samples.ROOT / "samples" / path.name) as committed:
        assert committed.size == (samples.WIDTH, samples.HEIGHT)
        # Another processor may round a pixel otherwise.
        assert np.abs(np.asarray(written, float) - np.asarray(committed, float)).mean() < 0.5
