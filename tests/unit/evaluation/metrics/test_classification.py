"""Metrics of classifiers, against cases worked out by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)

from evaluation.metrics.classification import by_level, measure
from evaluation.metrics.intervals import share

BINARY = ["healthy", "cancer"]
THREE = ["adder", "asp", "grass snake"]


def binary(scores, labels, threshold=0.5):
    positive = np.array(scores)
    return measure(
        np.array(labels),
        (positive >= threshold).astype(int),
        np.column_stack([1 - positive, positive]),
        BINARY,
        "cancer",
    )


def three(seed=3, photos=200):
    random = np.random.default_rng(seed)
    truth = random.integers(3, size=photos)
    logits = random.normal(size=(photos, 3))
    logits[np.arange(photos), truth] += 1
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return truth, probabilities.argmax(axis=1), probabilities


def test_a_binary_case_has_the_numbers_worked_out_by_hand():
    # Cancer: 0.9, 0.8 and 0.4 (missed). Healthy: 0.7 (false alarm), 0.2, 0.1, 0.3.
    scores = binary([0.9, 0.8, 0.4, 0.7, 0.2, 0.1, 0.3], [1, 1, 1, 0, 0, 0, 0])
    assert scores.confusion == [[3, 1], [1, 2]]
    assert (scores.accuracy.count, scores.accuracy.of) == (5, 7)
    assert scores.sensitivity.value == pytest.approx(2 / 3)
    assert scores.specificity.value == pytest.approx(3 / 4)
    assert scores.balanced_accuracy == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert scores.f1 == pytest.approx(2 / 3)
    # Of the 12 pairs of a cancer and a healthy photo, one (0.4 under 0.7) is in the wrong order.
    assert scores.roc_auc == pytest.approx(11 / 12)
    # Precision at each hit, in order of score: 1/1, 2/2, 3/4.
    assert scores.average_precision == pytest.approx((1 + 1 + 3 / 4) / 3)
    squares = [0.01, 0.04, 0.36, 0.49, 0.04, 0.01, 0.09]
    assert scores.brier == pytest.approx(sum(squares) / 7)


def test_the_threshold_that_decided_counts_and_not_the_larger_probability():
    scores = binary([0.45, 0.3], [1, 0], threshold=0.4)
    assert scores.sensitivity.value == 1
    assert scores.confusion == [[1, 0], [0, 1]]


def test_several_classes_agree_with_scikit_learn():
    truth, predicted, probabilities = three()
    scores = measure(truth, predicted, probabilities, THREE)
    assert scores.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert scores.f1 == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert scores.roc_auc == pytest.approx(
        roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    )
    one_hot = np.eye(3)[truth]
    assert scores.average_precision == pytest.approx(
        average_precision_score(one_hot, probabilities, average="macro")
    )
    assert scores.brier == pytest.approx(((probabilities - one_hot) ** 2).sum(axis=1).mean())
    assert np.sum(scores.confusion) == len(truth)
    assert scores.sensitivity is None
    assert scores.recall["asp"].of == (truth == 1).sum()


@pytest.mark.parametrize("label", [0, 1])
def test_labels_of_one_class_leave_undefined_what_they_leave_undefined(label):
    scores = binary([0.9, 0.8, 0.1], [label] * 3)
    assert scores.roc_auc is None
    assert scores.average_precision is None
    assert scores.balanced_accuracy is None
    assert scores.accuracy.of == 3
    assert (scores.sensitivity is None, scores.specificity is None) == (not label, bool(label))
    assert (scores.f1 is None) == (label == 0)


def test_a_class_without_photos_is_left_out_of_the_means():
    truth, predicted, probabilities = three()
    kept = truth != 2
    scores = measure(truth[kept], predicted[kept], probabilities[kept], THREE)
    assert scores.recall["grass snake"] is None
    of_others = [roc_auc_score(truth[kept] == i, probabilities[kept, i]) for i in (0, 1)]
    assert scores.roc_auc == pytest.approx(np.mean(of_others))


def test_no_photos_and_shapes_that_do_not_fit_are_refused():
    nothing = np.array([], int)
    with pytest.raises(ValueError, match="no photos"):
        measure(nothing, nothing, np.empty((0, 2)), BINARY)
    with pytest.raises(ValueError, match="do not fit"):
        measure(np.array([0]), np.array([0]), np.array([[0.1, 0.2, 0.7]]), BINARY)


def test_levels_say_how_many_answers_they_hold_and_how_many_of_those_are_right():
    low, high = by_level(["high", "low", "low", "low"], np.array([False, True, True, False]))
    assert (low.level, low.share.value, low.accuracy.value) == ("low", 0.75, pytest.approx(2 / 3))
    assert (high.level, high.share.value, high.accuracy.value) == ("high", 0.25, 0)


def test_the_interval_is_wilsons():
    found = share(8, 10)
    assert (found.low, found.high) == (
        pytest.approx(0.4902, abs=1e-4),
        pytest.approx(0.9433, abs=1e-4),
    )
    everything = share(10, 10)
    assert (everything.low, everything.high) == (pytest.approx(0.7225, abs=1e-4), 1)


def test_a_share_of_nothing_is_none():
    assert share(0, 0) is None
