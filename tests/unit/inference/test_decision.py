"""The decision's mathematics, against the formulas written out one image at a time."""

import math
from dataclasses import replace

import numpy as np
import pytest

from inference.decision import (
    decide,
    largest_distance,
    normalised_entropy,
    predict,
    probabilities,
    uncertainty_level,
)
from inference.errors import RefusedError
from inference.rules import Band, DecisionRules
from pipelines.protocol import Refusal

BANDS = (Band(0.15, 0.20), Band(0.35, 0.10))


def rules(classes=2, members=2, weights=None, threshold=0.5):
    binary = threshold is not None
    return DecisionRules(
        classes=tuple("abcdef"[:classes]),
        positive=1 if binary else None,
        threshold=threshold,
        bounds=(0.0, 1.0) if binary else None,
        members=tuple(f"m{index}" for index in range(members)),
        weights=tuple(weights or [1 / members] * members),
        low=BANDS[0],
        medium=BANDS[1],
    )


def every(*logits):
    """Logits of all members, by index."""
    return dict(enumerate(logits))


def logits_of(p):
    """Logits of a binary member whose positive class has probability p."""
    return np.array([[0.0, math.log(p / (1 - p))]], dtype=np.float64)


def test_equals_the_plain_recipe_for_random_logits():
    rng = np.random.default_rng(1)
    some = rules(classes=4, members=3, weights=[0.2, 0.3, 0.5], threshold=None)
    logits = [rng.normal(0, 5, (7, 4)).astype(np.float32) for _ in range(3)]

    answer = decide(every(*logits), some, None)

    for image in range(7):
        p = []
        for member in logits:
            powers = [math.exp(float(z)) for z in member[image]]
            p.append([power / sum(powers) for power in powers])
        mean = [sum(w * q[k] for w, q in zip(some.weights, p, strict=True)) for k in range(4)]
        distances = [sum(abs(a - b) for a, b in zip(x, y, strict=True)) / 2 for x in p for y in p]
        entropy = -sum(q * math.log(q) for q in mean) / math.log(4)
        assert answer.probabilities[image] == pytest.approx(mean, abs=1e-6)
        assert answer.member_probabilities[image] == pytest.approx(np.array(p), abs=1e-6)
        assert answer.prediction[image] == mean.index(max(mean))
        assert answer.confidence[image] == pytest.approx(max(mean), abs=1e-6)
        assert answer.disagreement[image] == pytest.approx(max(distances), abs=1e-6)
        assert answer.entropy[image] == pytest.approx(entropy, abs=1e-6)
        assert np.isnan(answer.threshold[image])


def test_answers_have_the_shapes_and_types_of_the_contract():
    answer = decide(every(np.zeros((5, 2)), np.ones((5, 1))), rules(), None)
    shapes = {name: (value.shape, value.dtype.name) for name, value in vars(answer).items()}
    assert shapes == {
        "probabilities": ((5, 2), "float32"),
        "member_probabilities": ((5, 2, 2), "float32"),
        "member_prediction": ((5, 2), "int32"),
        "prediction": ((5,), "int32"),
        "confidence": ((5,), "float32"),
        "disagreement": ((5,), "float32"),
        "entropy": ((5,), "float32"),
        "threshold": ((5,), "float32"),
        "uncertainty_level": ((5,), "int32"),
        "prediction_set": ((5, 2), "int32"),
    }


def test_a_batch_answers_as_its_images_one_by_one():
    rng = np.random.default_rng(2)
    logits = [rng.normal(0, 3, (9, 2)), rng.normal(0, 3, (9, 1))]
    together = decide(every(*logits), rules(), None)
    for image in range(9):
        one = every(*(member[image : image + 1] for member in logits))
        alone = decide(one, rules(), None)
        for name, value in vars(together).items():
            np.testing.assert_array_equal(value[image], getattr(alone, name)[0])


def test_one_logit_is_the_softmax_of_zero_and_itself():
    z = np.array([[-700.0], [-3.0], [0.0], [2.5], [700.0]])
    pairs = np.concatenate([np.zeros_like(z), z], axis=1)
    np.testing.assert_array_equal(probabilities(z, 2, "m"), probabilities(pairs, 2, "m"))
    assert probabilities(z, 2, "m")[2] == pytest.approx([0.5, 0.5])


def test_huge_logits_neither_overflow_nor_lose_their_sum():
    p = probabilities(np.array([[1e4, -1e4, 1e4]]), 3, "m")
    assert p[0] == pytest.approx([0.5, 0.0, 0.5])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused_and_its_member_named(bad):
    with pytest.raises(RefusedError, match="m1 gave") as caught:
        decide(every(np.zeros((2, 2)), np.array([[0, 0], [bad, 0]])), rules(), None)
    assert caught.value.code is Refusal.MODEL_OUTPUT


def test_a_wrong_number_of_logits_is_refused():
    with pytest.raises(RefusedError, match="m0 gave 3 numbers for 2 classes"):
        decide(every(np.zeros((1, 3)), np.zeros((1, 2))), rules(), None)


def test_reaching_the_threshold_exactly_is_positive():
    p = np.array([[0.5, 0.5], [0.500001, 0.499999]])
    assert predict(p, 1, 0.5).tolist() == [1, 0]


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.37, 0.7, 0.9, 0.95])
def test_the_answered_fp32_numbers_reproduce_the_decision_at_the_threshold(threshold):
    around = threshold + np.linspace(-1e-7, 1e-7, 41)
    logits = np.concatenate([logits_of(p) for p in around])
    answer = decide(every(logits), rules(members=1), threshold)
    reached = answer.probabilities[:, 1] >= answer.threshold
    np.testing.assert_array_equal(answer.prediction, reached.astype(int))
    np.testing.assert_array_equal(answer.member_prediction[:, 0], answer.prediction)


def test_a_requests_threshold_decides_and_is_answered():
    logits = every(logits_of(0.6), logits_of(0.6))
    assert decide(logits, rules(), None).prediction == [1]
    strict = decide(logits, rules(), 0.7)
    assert strict.prediction == [0]
    assert strict.threshold == np.float32(0.7)
    assert strict.confidence == pytest.approx(0.4)


def test_of_equal_classes_the_first_wins():
    p = np.array([[0.2, 0.4, 0.4], [1 / 3, 1 / 3, 1 / 3]])
    assert predict(p, None, None).tolist() == [1, 0]


def test_one_member_disagrees_with_nobody():
    answer = decide(every(logits_of(0.9)), rules(members=1), None)
    assert answer.disagreement == [0]
    assert answer.probabilities[0] == pytest.approx([0.1, 0.9])


def test_two_binary_members_disagree_by_the_difference_of_their_probabilities():
    answer = decide(every(logits_of(0.9), logits_of(0.3)), rules(weights=[0.25, 0.75]), None)
    assert answer.disagreement[0] == pytest.approx(0.6)
    assert answer.probabilities[0, 1] == pytest.approx(0.25 * 0.9 + 0.75 * 0.3)


def test_disagreement_is_that_of_the_farthest_pair():
    members = np.array([[[0.5, 0.5, 0.0], [0.5, 0.4, 0.1], [0.0, 0.0, 1.0]]])
    assert largest_distance(members) == pytest.approx([1.0])


def test_entropy_is_one_for_an_even_and_zero_for_a_certain_answer():
    p = np.array([[0.25] * 4, [1.0, 0.0, 0.0, 0.0]])
    assert normalised_entropy(p) == pytest.approx([1.0, 0.0])


def test_a_member_that_answers_alone_decides_and_the_others_have_no_prediction():
    alone = decide({1: logits_of(0.1)}, rules(weights=[1.0, 0.0]), None)
    assert alone.probabilities[0, 1] == pytest.approx(0.1)
    assert alone.prediction == [0]
    assert alone.disagreement == [0]
    assert alone.uncertainty_level == [0]
    assert alone.member_prediction.tolist() == [[-1, 0]]
    assert np.isnan(alone.member_probabilities[0, 0]).all()
    np.testing.assert_array_equal(alone.member_probabilities[0, 1], alone.probabilities[0])


def test_disagreement_and_level_are_of_the_answering_members_only():
    three = rules(members=3, weights=[0.5, 0.5, 0.0])
    two = decide({0: logits_of(0.9), 1: logits_of(0.8)}, three, None)
    assert two.disagreement[0] == pytest.approx(0.1)
    assert two.uncertainty_level == [0]
    assert two.member_prediction.tolist() == [[1, 1, -1]]


def test_members_of_weight_zero_answer_only_when_named():
    three = rules(members=3, weights=[0.25, 0.0, 0.75])
    assert three.answering_members(None) == (0, 2)
    assert three.answering_members(1) == (1,)
    assert three.answering_members(2) == (2,)


@pytest.mark.parametrize(
    ("disagreement", "margin", "opposed", "level"),
    [
        (0.15, 0.20, False, 0),  # on both bounds
        (0.1500001, 0.20, False, 1),
        (0.15, 0.1999999, False, 1),
        (0.05, 0.30, True, 1),  # never low
        (0.35, 0.10, False, 1),
        (0.36, 0.30, False, 2),
        (0.10, 0.09, False, 2),
        (0.60, 0.30, True, 2),
    ],
)
def test_the_level_is_the_first_whose_band_holds(disagreement, margin, opposed, level):
    levels = uncertainty_level(
        np.array([disagreement]), np.array([margin]), opposed=np.array([opposed]), bands=BANDS
    )
    assert levels.tolist() == [level]


def test_members_on_different_sides_of_the_threshold_are_never_low():
    # 0.72 and 0.68 agree closely and are far from nothing but the threshold of 0.7.
    anything = Band(1.0, 0.0)
    wide = replace(rules(threshold=0.7), low=anything, medium=anything)
    assert decide(every(logits_of(0.72), logits_of(0.68)), wide, None).uncertainty_level == [1]
    assert decide(every(logits_of(0.72), logits_of(0.78)), wide, None).uncertainty_level == [0]
