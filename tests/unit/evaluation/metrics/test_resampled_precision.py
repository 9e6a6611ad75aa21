"""Average precision of resamples: as COCO's own evaluation of the repeated images."""

import numpy as np
import pytest

from evaluation.metrics.detection import mean_average_precision
from evaluation.metrics.objects import Found, Truth
from evaluation.metrics.resampled_precision import ResampledPrecision

CLASSES = ["circle", "square"]


def scene(images=12, seed=3):
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(images):
        objects, seen = [], []
        for _ in range(rng.integers(0, 4)):
            label = CLASSES[rng.integers(2)]
            x, y = rng.integers(0, 60, 2).tolist()
            objects.append(Truth(label, (x, y, x + 30, y + 30), crowd=rng.random() < 0.1))
            moved = int(rng.integers(0, 14))
            score = float(rng.random())
            seen.append(Found(label, score, (x + moved, y, x + 30 + moved, y + 30)))
        if rng.random() < 0.5:
            seen.append(Found(CLASSES[rng.integers(2)], float(rng.random()), (70, 70, 90, 90)))
        truth.append(objects)
        found.append(seen)
    return truth, found


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_resample_has_the_average_precision_of_its_images(seed):
    truth, found = scene(seed=seed)
    drawn = np.random.default_rng(seed).integers(len(truth), size=len(truth))
    expected = mean_average_precision(
        [truth[each] for each in drawn], [found[each] for each in drawn], CLASSES
    )
    assert ResampledPrecision(truth, found, CLASSES).at(drawn) == pytest.approx(expected.at_50)


def test_images_without_objects_have_none():
    truth, found = scene()
    empty = [index for index, objects in enumerate(truth) if not objects]
    assert empty
    assert ResampledPrecision(truth, found, CLASSES).at(np.array(empty)) is None


def test_a_class_that_nothing_was_found_of_counts_as_nothing():
    truth = [[Truth("circle", (0, 0, 9, 9)), Truth("square", (20, 20, 40, 40))]]
    found = [[Found("circle", 0.9, (0, 0, 9, 9))]]
    assert ResampledPrecision(truth, found, CLASSES).at(np.array([0])) == pytest.approx(0.5)
