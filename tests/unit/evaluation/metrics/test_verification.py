"""The correction for which answers were verified."""

import numpy as np
import pytest

from evaluation.metrics.intervals import share
from evaluation.metrics.verification import Stratum, correct


def stratum(prediction, level, answers, verified, right):
    return Stratum(prediction, level, answers, verified, right)


def test_where_everything_was_verified_the_shares_are_those_that_were_counted():
    found = correct(
        [stratum("cancer", "low", 50, 50, 45), stratum("healthy", "low", 100, 100, 90)], "cancer"
    )
    assert found.accuracy.value == 135 / 150
    assert found.sensitivity.value == 45 / 55
    assert found.specificity.value == 90 / 95


def test_where_everything_was_verified_the_interval_is_about_wilsons():
    found = correct(
        [stratum("cancer", "low", 50, 50, 45), stratum("healthy", "low", 100, 100, 90)], "cancer"
    )
    for estimate, counted in (
        (found.accuracy, share(135, 150)),
        (found.sensitivity, share(45, 55)),
        (found.specificity, share(90, 95)),
    ):
        assert estimate.low == pytest.approx(counted.low, abs=0.03)
        assert estimate.high == pytest.approx(counted.high, abs=0.03)


def test_few_answers_that_are_all_right_do_not_make_anything_certain():
    """Also where no answer was of the other class."""
    for strata in (
        [stratum("cancer", "low", 5, 5, 5)],
        [stratum("cancer", "low", 5, 5, 5), stratum("healthy", "low", 5, 5, 5)],
    ):
        found = correct(strata, "cancer")
        for estimate in (found.accuracy, found.sensitivity):
            assert estimate.value == 1
            assert estimate.low < 0.85
            assert estimate.high == 1


def test_the_numbers_of_a_worked_example():
    """429 of 650 answers verified, most of them positive (Begg and Greenes' hepatic scintigraphy:
    429 positive and 221 negative answers, of which 263 and 81 were verified)."""
    found = correct([stratum("ill", "", 429, 263, 231), stratum("well", "", 221, 81, 54)], "ill")
    assert found.sensitivity.value == pytest.approx(0.836, abs=0.001)
    assert found.specificity.value == pytest.approx(0.738, abs=0.001)
    naive = 231 / (231 + 27)
    assert naive == pytest.approx(0.895, abs=0.001)
    assert found.sensitivity.low < found.sensitivity.value < found.sensitivity.high < naive


def test_the_interval_holds_the_truth_in_about_the_stated_share_of_simulated_clinics():
    rng = np.random.default_rng(4)
    inside = 0
    for _ in range(200):
        sick = rng.random(2000) < 0.3
        said = np.where(sick, rng.random(2000) < 0.85, rng.random(2000) < 0.1)
        verified = rng.random(2000) < np.where(said, 0.5, 0.1)
        strata = [
            stratum(
                "cancer" if answer else "healthy",
                "low",
                int((said == answer).sum()),
                int((verified & (said == answer)).sum()),
                int((verified & (said == answer) & (sick == answer)).sum()),
            )
            for answer in (True, False)
        ]
        found = correct(strata, "cancer").sensitivity
        inside += found.low <= 0.85 <= found.high
    assert 182 <= inside <= 200


def test_several_classes_have_an_accuracy_alone():
    found = correct([stratum("adder", "low", 10, 5, 5), stratum("asp", "high", 10, 5, 0)], None)
    assert found.accuracy.value == 0.5
    assert (found.sensitivity, found.specificity) == (None, None)


def test_nothing_is_said_where_nothing_is_known_of_a_stratum():
    assert correct([], "cancer") is None
    known = stratum("cancer", "low", 9, 3, 3)
    assert correct([known, stratum("healthy", "low", 9, 0, 0)], "cancer") is None


def test_a_share_of_a_class_that_does_not_occur_is_not_defined():
    found = correct([stratum("healthy", "low", 9, 9, 9)], "cancer")
    assert (found.sensitivity, found.specificity.value) == (None, 1)


@pytest.mark.parametrize("counts", [(5, 6, 1), (5, 3, 4), (5, 3, -1)])
def test_counts_that_cannot_be_are_refused(counts):
    with pytest.raises(ValueError, match="must not fall"):
        correct([stratum("cancer", "low", *counts)], "cancer")
