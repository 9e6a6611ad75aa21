"""Prediction sets: how they are fitted, what they hold, and what they forbid."""

import numpy as np
import pytest

from inference.decision import decide
from inference.prediction_set import SetRules, fit, prediction_set
from tests.unit.inference.test_decision import every, logits_of, rules


def test_a_class_is_in_the_set_from_the_kth_smallest_of_its_own_probabilities():
    p = np.linspace(0.01, 0.99, 99)
    rows = np.concatenate([np.stack([1 - p, p], axis=1)] * 2)
    labels = np.repeat([0, 1], 99)
    # Of 99 photos of a class k = floor(100 * 0.05) = 5.
    assert fit(rows, labels, 0.95) == pytest.approx([0.05, 0.05])


def test_nineteen_photos_of_a_class_are_enough_and_eighteen_are_not():
    p = np.linspace(0.3, 0.7, 38)
    rows, labels = np.stack([1 - p, p], axis=1), np.arange(38) % 2
    assert fit(rows, labels, 0.95)[1] == np.float32(p[1])
    with pytest.raises(ValueError, match="class 1: 18 photos are too few for 95%"):
        fit(rows[:-1], labels[:-1], 0.95)


def test_sets_hold_the_true_class_as_often_as_they_say_for_each_class():
    rng = np.random.default_rng(3)

    def drawn(count):
        labels = rng.permutation(np.arange(count) % 4)
        # The classes differ in how hard they are.
        logits = rng.normal(0, 1 + labels[:, None], (count, 4)) + 3 * np.eye(4)[labels]
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels

    lowest = tuple(map(float, fit(*drawn(8000), 0.95)))
    p, labels = drawn(8000)
    held = prediction_set(p, lowest)[np.arange(8000), labels]
    for index in range(4):
        # Both halves sample 2,000 of a class: 4 standard deviations of their sum.
        assert held[labels == index].mean() == pytest.approx(
            0.95, abs=4 * (2 * 0.0475 / 2000) ** 0.5
        )


def test_what_is_answered_in_fp32_decides_what_is_in_the_set():
    bound = float(np.float32(0.1))
    assert prediction_set(np.array([[0.9, 0.1]]), (0.5, bound)).tolist() == [[1, 1]]
    assert prediction_set(np.array([[0.9, 0.1 - 1e-7]]), (0.5, bound)).tolist() == [[1, 0]]


def test_without_a_rule_there_is_no_set():
    answer = decide(every(logits_of(0.9), logits_of(0.9)), rules(), None)
    assert answer.prediction_set.tolist() == [[-1, -1]]
    assert answer.uncertainty_level == [0]


@pytest.mark.parametrize(
    ("p", "set_from", "chosen", "level"),
    [
        (0.9, (0.2, 0.4), [0, 1], 0),  # the predicted class alone
        (0.9, (0.1, 0.4), [1, 1], 2),  # both
        (0.9, (0.2, 0.95), [0, 0], 2),  # none
        (0.9, (0.05, 0.95), [1, 0], 2),  # the other one alone
    ],
)
def test_two_classes_make_a_call_only_where_the_set_is_the_predicted_class(
    p, set_from, chosen, level
):
    answer = decide(every(logits_of(p), logits_of(p)), rules(), None, set_from)
    assert answer.prediction_set.tolist() == [chosen]
    assert answer.uncertainty_level == [level]
    assert answer.uncertainty_level.dtype == np.int32


def test_several_classes_make_a_call_where_the_predicted_one_is_in_the_set():
    some = rules(classes=3, members=1, threshold=None)
    logits = every(np.log([[0.8, 0.15, 0.05]]))
    assert decide(logits, some, None, (0.5, 0.1, 0.1)).prediction_set.tolist() == [[1, 1, 0]]
    assert decide(logits, some, None, (0.5, 0.1, 0.1)).uncertainty_level == [0]
    assert decide(logits, some, None, (0.9, 0.1, 0.1)).uncertainty_level == [2]
    assert decide(logits, some, None, (0.9, 0.9, 0.9)).prediction_set.tolist() == [[0, 0, 0]]


def test_each_answering_combination_has_a_rule_of_its_own():
    rule = SetRules.from_json('{"coverage": 0.95, "ensemble": null, "members": {"a": [0.1, 0.2]}}')
    assert rule.of(None) is None
    assert rule.of("a") == (0.1, 0.2)
    assert rule.of("b") is None
    assert SetRules.from_json(None).of(None) is None
