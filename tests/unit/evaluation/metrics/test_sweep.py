"""Other thresholds, against cases worked out by hand."""

import numpy as np
import pytest

from evaluation.metrics.sweep import best_by_youden, sweep, thresholds

TRUTH = np.array([True, True, True, False, False, False, False])
SCORE = np.array([0.9, 0.8, 0.4, 0.7, 0.2, 0.1, 0.3])


def test_a_point_has_the_shares_worked_out_by_hand():
    (point,) = sweep(TRUTH, SCORE, [0.5])
    assert point.sensitivity == pytest.approx(2 / 3)
    assert point.specificity == pytest.approx(3 / 4)
    assert point.ppv == pytest.approx(2 / 3)
    assert point.npv == pytest.approx(3 / 4)
    assert point.f1 == pytest.approx(2 / 3)
    assert point.youden == pytest.approx(5 / 12)


def test_a_score_at_the_threshold_is_positive():
    assert sweep(TRUTH, SCORE, [0.4])[0].sensitivity == 1


def test_a_share_of_nothing_is_not_defined():
    (point,) = sweep(TRUTH, SCORE, [0.95])
    assert point.ppv is None
    assert point.sensitivity == 0
    (healthy,) = sweep(np.array([False]), np.array([0.1]), [0.5])
    assert (healthy.sensitivity, healthy.f1, healthy.youden) == (None, None, None)


def test_the_best_is_the_largest_index():
    points = sweep(TRUTH, SCORE, [0.15, 0.35, 0.5, 0.85])
    assert best_by_youden(points, 0.5).threshold == 0.35  # 1 + 3/4 - 1


def test_of_equally_good_thresholds_the_nearest_to_the_pipelines_is_taken():
    points = sweep(TRUTH, SCORE, [0.31, 0.35, 0.39])
    assert best_by_youden(points, 0.5).threshold == 0.39
    assert best_by_youden(points, 0.1).threshold == 0.31


def test_labels_of_one_class_have_no_best():
    assert best_by_youden(sweep(np.array([True]), np.array([0.9]), [0.1, 0.5]), 0.5) is None


def test_thresholds_stay_within_the_bounds_and_hold_the_marked():
    found = thresholds(0.05, 0.95, 0.5, 0.333)
    assert (found[0], found[-1], len(found)) == (0.05, 0.95, 92)
    assert {0.5, 0.333} <= set(found)
    assert found == sorted(set(found))
