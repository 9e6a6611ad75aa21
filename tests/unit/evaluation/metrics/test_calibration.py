"""Calibration, against cases worked out by hand."""

import numpy as np
import pytest

from evaluation.metrics.calibration import BINS, calibration, expected_calibration_error


def error(confidence, correct):
    return expected_calibration_error(calibration(np.array(confidence), np.array(correct)))


def test_sure_and_always_right_is_perfect():
    assert error([1.0, 1.0, 1.0], [True, True, True]) == 0


def test_sure_and_always_wrong_is_the_worst():
    assert error([1.0, 1.0], [False, False]) == 1


def test_bins_are_weighted_by_their_photos():
    # Three photos at 0.9, two of them right: |2/3 - 0.9|. One at 0.5 and right: 0.5.
    expected = 0.75 * abs(2 / 3 - 0.9) + 0.25 * 0.5
    assert error([0.9, 0.9, 0.9, 0.5], [True, True, False, True]) == pytest.approx(expected)


def test_errors_in_opposite_directions_do_not_cancel_out_across_bins():
    assert error([0.95, 0.55], [False, True]) == pytest.approx((0.95 + 0.45) / 2)


def test_a_bin_holds_its_upper_edge_and_the_first_also_zero():
    edges = np.linspace(0, 1, BINS + 1)
    bins = calibration(edges, np.ones(BINS + 1, bool))
    assert [each.photos for each in bins] == [2, *[1] * (BINS - 1)]
    assert bins[-1].high == 1


def test_empty_bins_are_left_out():
    (only,) = calibration(np.array([0.5]), np.array([True]))
    assert only.low < 0.5 <= only.high
