"""Calibration, against cases worked out by hand."""

import numpy as np
import pytest

from evaluation.metrics.calibration import (
    BINS,
    calibration,
    calibration_error,
    expected_calibration_error,
    without_temperature,
)


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


def test_the_interval_of_the_error_is_reproducible_and_narrows_with_more_answers():
    def found(count):
        confidence = np.tile([0.6, 0.9], count // 2)
        return calibration_error(confidence, np.arange(count) % 4 > 0)

    few, many = found(40), found(4000)
    assert found(40) == few
    assert few.value == pytest.approx(many.value)
    assert few.value == pytest.approx(error(np.tile([0.6, 0.9], 20), np.arange(40) % 4 > 0))
    assert many.low <= many.value <= many.high
    assert many.high - many.low < few.high - few.low


def test_probabilities_without_a_temperature_are_those_of_the_undivided_logits():
    logits = np.array([[0.0, 3.0, -1.0], [20.0, 0.0, -20.0]])

    def softmax(numbers):
        return np.exp(numbers) / np.exp(numbers).sum(axis=1, keepdims=True)

    np.testing.assert_allclose(
        without_temperature(softmax(logits / 2.5), 2.5), softmax(logits), atol=1e-12
    )
    assert np.isfinite(without_temperature(np.array([[0.0, 1.0]]), 0.5)).all()
