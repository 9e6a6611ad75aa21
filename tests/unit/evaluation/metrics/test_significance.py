"""Whether two runs differ by more than chance."""

import numpy as np
import pytest

from evaluation.metrics.significance import difference, mcnemar


def accuracies(first, second):
    return lambda photos: (float(first[photos].mean()), float(second[photos].mean()))


def test_mcnemar_counts_the_photos_that_one_run_alone_has_right():
    # 10 to 2: twice the sum of C(12, k) for k = 0, 1, 2, over 2^12.
    first = np.array([True] * 10 + [False] * 2 + [True] * 50)
    second = np.array([False] * 10 + [True] * 2 + [True] * 50)
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (10, 2)
    assert found.p == pytest.approx(2 * (1 + 12 + 66) / 2**12)


def test_runs_that_are_right_on_the_same_photos_do_not_differ():
    right = np.array([True, False, True])
    assert mcnemar(right, right).p == 1


def test_the_difference_is_second_minus_first_and_its_interval_holds_it():
    random = np.random.default_rng(0)
    first, second = random.random(400) < 0.7, random.random(400) < 0.9
    found = difference(accuracies(first, second), 400)
    assert found.value == pytest.approx(second.mean() - first.mean())
    assert 0 < found.low < found.value < found.high
    # Two independent shares: the normal approximation's half width.
    half = 1.96 * np.sqrt(first.var() / 400 + second.var() / 400)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.15)


def test_pairing_makes_equal_runs_equal_in_every_resample():
    right = np.arange(50) % 3 == 0
    found = difference(accuracies(right, right), 50)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_metric_that_is_not_defined_has_no_difference():
    assert difference(lambda photos: (None, 0.5), 10) is None


def test_a_metric_that_resamples_rarely_define_has_no_interval():
    def defined_once(photos):
        return (0.5, 0.6) if (photos == np.arange(10)).all() else (None, None)

    found = difference(defined_once, 10)
    assert found.value == pytest.approx(0.1)
    assert (found.low, found.high) == (None, None)
