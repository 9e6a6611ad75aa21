"""Non-inferiority of paired shares: against a search of the likelihood, and by simulation."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from evaluation.metrics.noninferiority import (
    ALPHA,
    Pairs,
    fewest,
    interval,
    needed,
    pairs,
    score,
    worse,
)


def likely_loss(counted, difference):
    """The share of lost photos that makes the counts most likely, by a search."""

    def unlikely(lost):
        gained, same = lost + difference, 1 - 2 * lost - difference
        parts = [(counted.lost, lost), (counted.gained, gained)]
        parts.append((counted.of - counted.lost - counted.gained, same))
        if min(share for _, share in parts) < 0:
            return math.inf
        return -sum(count * math.log(max(share, 1e-300)) for count, share in parts)

    low, high = max(0.0, -difference), (1 - difference) / 2
    return minimize_scalar(unlikely, bounds=(low, high), options={"xatol": 1e-12}).x


@pytest.mark.parametrize("counted", [Pairs(3, 5, 40), Pairs(12, 2, 200), Pairs(1, 9, 15)])
@pytest.mark.parametrize("difference", [-0.3, -0.02, 0.0, 0.1])
def test_the_score_is_that_of_the_most_likely_shares(counted, difference):
    lost = likely_loss(counted, difference)
    variance = counted.of * (2 * lost + difference - difference**2)
    expected = (counted.gained - counted.lost - counted.of * difference) / math.sqrt(variance)
    assert score(counted, difference) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("of", [12, 189, 1000])
def test_without_a_difference_the_interval_is_the_known_one(of):
    # Nobody lost, nobody gained: the ends are z^2 / (n + z^2), as Wilson's of 0 of n.
    z = norm.ppf(1 - ALPHA) ** 2
    found = interval(Pairs(0, 0, of))
    assert (found.low, found.high) == pytest.approx((-z / (of + z), z / (of + z)))


def test_the_interval_mirrors_when_the_models_change_places():
    one, other = interval(Pairs(4, 9, 60)), interval(Pairs(9, 4, 60))
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


@pytest.mark.parametrize("counted", [Pairs(5, 0, 5), Pairs(0, 5, 5), Pairs(1, 0, 1)])
def test_an_interval_at_the_end_of_the_scale_stays_on_it(counted):
    found = interval(counted)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.3


def test_no_photos_have_no_interval():
    with pytest.raises(ValueError, match="no photos"):
        interval(Pairs(0, 0, 0))


def test_pairs_are_counted():
    first = np.array([True, True, True, False, False])
    assert pairs(first, np.array([True, False, False, True, False])) == Pairs(2, 1, 5)


def test_mcnemars_exact_test_is_one_sided():
    # 8 lost, 1 gained: P(X >= 8) of 9 tosses.
    assert worse(Pairs(8, 1, 100)) == pytest.approx(10 / 512)
    assert worse(Pairs(1, 8, 100)) > 0.9
    assert worse(Pairs(0, 0, 100)) == 1


def test_twelve_photos_are_never_enough_for_two_points():
    assert fewest(0.02) == 183
    assert (1 - 0.02) ** 183 <= ALPHA < (1 - 0.02) ** 182
    assert needed(Pairs(0, 12, 12), 0.02) >= fewest(0.02)


def test_the_share_of_candidates_at_the_margin_that_pass_is_as_stated():
    rng = np.random.default_rng(7)
    runs, of, margin = 4000, 400, 0.05
    # Of 400 photos 8 % are lost and 3 % gained: the candidate is worse by exactly the margin.
    drawn = rng.multinomial(of, [0.08, 0.03, 0.89], size=runs)
    passed = sum(score(Pairs(lost, gained, of), -margin) > norm.ppf(1 - ALPHA)
                 for lost, gained, _ in drawn.tolist())  # fmt: skip
    # 0.025 with four standard errors of the simulation.
    assert passed / runs <= ALPHA + 4 * math.sqrt(ALPHA * (1 - ALPHA) / runs)


def test_with_the_photos_that_are_needed_an_equally_good_candidate_passes_in_four_of_five():
    rng = np.random.default_rng(8)
    margin = 0.03
    of = needed(Pairs(9, 9, 298), margin)
    drawn = rng.multinomial(of, [0.03, 0.03, 0.94], size=2000)
    passed = sum(score(Pairs(lost, gained, of), -margin) > norm.ppf(1 - ALPHA)
                 for lost, gained, _ in drawn.tolist())  # fmt: skip
    assert 0.77 <= passed / 2000 <= 0.9
