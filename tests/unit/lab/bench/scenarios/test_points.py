"""A point's figures: percentiles, what counts as goodput, and a generator that lagged."""

import pytest

from lab.bench.scenarios.points import goodput, holds, point
from lab.bench.scenarios.raw import Scenario
from lab.load.scheduled import End
from tests.unit.lab.bench.scenarios.simulation import record, served

BOUND = 0.05


def of(found, bound=BOUND):
    return point(
        found,
        scenario=Scenario.OVERLOAD,
        round_=1,
        contender="fast",
        workload="light",
        rate=100.0,
        bound=bound,
        cpu_seconds=1.0,
    )


def test_percentiles_are_of_right_answers_from_when_they_were_due():
    took = [0.001 * n for n in range(1, 102)]
    found = of(record([*took, 9.0, 8.0], [*[End.ANSWERED] * 101, End.WRONG, End.REFUSED]))
    assert (found.p50_ms, found.p90_ms, found.p99_ms) == pytest.approx((51.0, 91.0, 100.0))
    assert (found.arrived, found.answered, found.wrong, found.refused) == (103, 101, 1, 1)
    assert found.within == 50


def test_goodput_is_of_right_answers_within_the_bound_alone():
    ends = [End.ANSWERED, End.ANSWERED, End.WRONG, End.REFUSED, End.FAILED]
    found = of(record([0.05, 0.051, 0.01, 0.01, 0.01], ends, due=[0.0, 0.5, 1.0, 1.5, 2.0]))
    assert (found.within, found.seconds) == (1, 2.0)
    assert goodput(found) == 0.5


def test_refusals_have_times_of_their_own():
    found = of(record([0.04, 0.002, 0.006], [End.ANSWERED, End.REFUSED, End.REFUSED]))
    assert found.refusal_p50_ms == pytest.approx(4.0)
    assert found.refusal_p99_ms == pytest.approx(5.96)
    assert found.p50_ms == pytest.approx(40.0)


def test_where_nothing_was_answered_there_are_no_latencies():
    found = of(record([0.01] * 3, [End.FAILED] * 3))
    assert (found.p50_ms, found.p99_ms, found.refusal_p50_ms, found.within) == (None,) * 3 + (0,)


@pytest.mark.parametrize(
    ("late", "held"), [(0, True), (2, True), (3, False)], ids=["none", "a hundredth", "one more"]
)
def test_a_rate_holds_where_99_of_100_are_within_the_bound(late, held):
    took = [0.051] * late + [0.049] * (200 - late)
    assert holds(of(record(took))) is held


@pytest.mark.parametrize("end", [End.REFUSED, End.WRONG, End.FAILED])
def test_a_quick_refusal_or_a_wrong_answer_is_no_answer_within_the_bound(end):
    assert not holds(of(record([0.001] * 200, [end] * 3 + [End.ANSWERED] * 197)))


def test_a_rate_that_was_given_up_does_not_hold():
    assert not holds(of(record([0.001] * 200, stopped=True)))


def test_a_generator_that_lags_is_found_however_good_the_latencies_are():
    """Its server answers each in 1 ms: without its lateness nothing would show."""
    gaps, work = [0.01] * 199, [0.001] * 200
    punctual = of(served(gaps, work, late=[0.0002] * 200))
    lagging = of(served(gaps, work, late=[0.0002] * 190 + [0.006] * 10))
    assert (punctual.lagged, lagging.lagged) == (False, True)
    assert lagging.late_p99_ms == pytest.approx(6.0)
    assert lagging.late_most_ms == pytest.approx(6.0)
    assert holds(lagging)


def test_a_generator_that_left_out_requests_lagged():
    assert of(record([0.001] * 200, [End.UNSENT] + [End.ANSWERED] * 199)).lagged


def test_a_few_late_moments_are_no_lag():
    assert not of(served([0.01] * 199, [0.001] * 200, late=[0.02] + [0.0] * 199)).lagged
