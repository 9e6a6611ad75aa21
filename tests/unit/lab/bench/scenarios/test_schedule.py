"""The schedule of arrivals: a Poisson process of exactly its rate."""

import statistics

import pytest

from lab.bench.scenarios.schedule import gaps


def test_arrivals_are_poisson_at_their_rate():
    found = gaps(50.0, 20_001, "seed")
    assert len(found) == 20_000
    assert statistics.fmean(found) == pytest.approx(1 / 50, rel=0.03)
    # Of an exponential distribution the deviation equals the mean, and 1/e of it lies beyond that.
    assert statistics.stdev(found) == pytest.approx(1 / 50, rel=0.05)
    assert sum(gap > 1 / 50 for gap in found) / len(found) == pytest.approx(0.368, abs=0.01)
    # They have no memory: neighbours are uncorrelated.
    assert statistics.correlation(found[:-1], found[1:]) == pytest.approx(0, abs=0.03)


def test_all_contenders_and_rates_get_the_same_pattern():
    slow, fast = gaps(10.0, 100, "light 0"), gaps(20.0, 100, "light 0")
    assert slow == gaps(10.0, 100, "light 0")
    assert slow == pytest.approx([2 * gap for gap in fast])


@pytest.mark.parametrize("requests", [2, 50, 500])
def test_few_arrivals_have_their_rate_too(requests):
    assert sum(gaps(40.0, requests, "light 0")) == pytest.approx((requests - 1) / 40)


def test_each_round_has_arrivals_of_its_own():
    assert gaps(10.0, 100, "light 0") != gaps(10.0, 100, "light 1")
