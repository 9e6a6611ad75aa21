"""The search for a rate, against servers whose capacity is known."""

import itertools
import math
import random

import pytest

from lab.bench.scenarios.points import holds, point
from lab.bench.scenarios.rate_search import highest_rate
from lab.bench.scenarios.raw import Scenario
from lab.bench.scenarios.schedule import gaps
from tests.unit.lab.bench.scenarios.simulation import served


def tried_point(found, rate, bound):
    return point(
        found,
        scenario=Scenario.SERVER,
        round_=0,
        contender="simulated",
        workload="light",
        rate=rate,
        bound=bound,
        cpu_seconds=0.0,
    )


@pytest.mark.parametrize("capacity", [6.0, 7.0, 100.0, 133.0, 900.0])
def test_the_rate_found_held_and_five_percent_more_would_not(capacity):
    tried = []

    def held(rate):
        tried.append(rate)
        return rate <= capacity

    found = highest_rate(held, 100.0)
    assert found in tried
    assert capacity / 1.05 <= found <= capacity
    assert len(tried) <= 15


def test_without_any_rate_that_holds_there_is_none():
    tried = []
    assert highest_rate(tried.append, 100.0) is None
    assert len(tried) == 8


def test_a_server_that_is_never_too_slow_ends_the_search():
    assert highest_rate(lambda _: True, 100.0) == pytest.approx(100 * 1.5**7)


def test_one_queue_with_random_work_is_found_at_its_known_rate():
    """M/M/1: the 99th percentile of the time in the system is ln(100) / (mu - lambda)."""
    mu, bound, requests = 100.0, 0.1, 30_000
    source = random.Random(7)
    work = [source.expovariate(mu) for _ in range(requests)]

    def held(rate):
        return holds(tried_point(served(gaps(rate, requests, "m/m/1"), work), rate, bound))

    found = highest_rate(held, 0.8 * mu)
    assert found == pytest.approx(mu - math.log(100) / bound, rel=0.08)


def test_steady_work_is_found_at_its_known_rate_and_two_cores_carry_more_than_twice():
    """M/D/1 at 55 %: in a hundredth of the cases the wait is longer than four works.

    By the exponential tail of its waiting time: with rho (e^t - 1) = t, P(W > w) is
    (1 - rho) / (rho e^t - 1) e^(-t w), w in works.
    """

    def found(servers):
        def held(rate):
            sent = served(gaps(rate, 20_000, "m/d/c"), itertools.repeat(0.01), servers)
            return holds(tried_point(sent, rate, bound=0.05))

        return highest_rate(held, 80.0)

    rho, tail = 0.55, 1.06
    assert rho * (math.exp(tail) - 1) == pytest.approx(tail, abs=0.03)
    beyond = (1 - rho) / (rho * math.exp(tail) - 1) * math.exp(-4 * tail)
    assert beyond == pytest.approx(0.01, abs=0.002)
    alone = found(1)
    assert alone == pytest.approx(100 * rho, rel=0.06)
    assert 2.2 * alone < found(2) < 200
