"""Distances of samples: critical values hold, and what differs is found."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from evaluation.metrics.drift import index, of_numbers, of_words


def test_a_distance_is_beyond_its_critical_value_where_scipys_p_is_below_alpha():
    rng = np.random.default_rng(1)
    for shift in np.linspace(0, 0.3, 40):
        reference, seen = rng.normal(size=700), rng.normal(shift, size=400)
        p = ks_2samp(reference, seen, method="asymp").pvalue
        assert of_numbers(reference, seen, 0.01).drifted == (p < 0.01) or p == pytest.approx(
            0.01, rel=0.1
        )


def test_an_index_is_as_it_is_defined():
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5)
    assert index(np.array([50, 50]), np.array([60, 40])) == pytest.approx(0.04055, abs=1e-4)
    assert index(np.array([50, 50]), np.array([100, 100])) == 0


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.06, 0.03, 0.01), (0.97, *[0.003] * 10)])
def test_words_without_a_change_are_called_drifted_as_often_as_stated(shares):
    rng = np.random.default_rng(2)
    called, runs, alpha = 0, 3000, 0.05
    for _ in range(runs):
        counts = [dict(enumerate(rng.multinomial(size, shares).tolist())) for size in (2000, 300)]
        called += of_words(
            *({str(k): v for k, v in each.items()} for each in counts), alpha
        ).drifted
    assert called / runs <= alpha + 0.02


def test_a_word_that_is_new_and_frequent_is_drift():
    assert of_words({"jpeg": 990, "png": 10}, {"jpeg": 250, "heic": 50}, 0.001).drifted


def test_one_word_alone_cannot_differ():
    assert not of_words({"jpeg": 1000}, {"jpeg": 80}, 0.01).drifted
    assert of_words({}, {"jpeg": 3}, 0.01) is None


def test_values_that_are_all_equal_cannot_differ():
    same = of_numbers(np.zeros(500), np.zeros(100), 0.01)
    assert (same.value, same.drifted) == (0, False)
    assert of_numbers(np.zeros(0), np.zeros(9), 0.01) is None
