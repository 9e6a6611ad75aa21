"""What is sent in each scenario, and what is kept of it."""

import pytest

from lab.bench.scenarios.measurement import Measurement, Sizes
from lab.bench.scenarios.raw import Found, Offline, Point, Scenario, Single
from lab.errors import ContenderError
from lab.load.scheduled import End
from tests.unit.lab.bench import measured
from tests.unit.lab.bench.scenarios.simulation import served


class Asked:
    """A session whose server takes 10 ms for a request, one at a time, and refuses `beyond`."""

    def __init__(self, late=0.0, beyond=None):
        self.late, self.beyond, self.schedules, self.patient = late, beyond, [], []
        self.tree = self

    def generator(self, workload, *, patient=False):
        assert workload == "light"
        self.patient.append(patient)
        return self

    def cpu_seconds(self):
        return 1.0

    def closed(self, concurrency, *, seconds=0.0, fewest=0):
        latencies = [0.01 * concurrency] * max(fewest, round(seconds / 0.01))
        return {
            "latencies": latencies,
            "wrong": 1,
            "errors": 0,
            "error": None,
            "seconds": 0.01 * len(latencies),
            "generator_cpu_seconds": 0.1,
        }

    def scheduled(self, gaps, limits):
        self.schedules.append((gaps, limits))
        requests = len(gaps) + 1
        found = served(gaps, [0.01] * requests, late=[self.late] * requests)
        if self.beyond is not None and len(gaps) / sum(gaps) > self.beyond:
            found["end"] = [End.REFUSED] * requests
        return found


@pytest.fixture
def facts():
    return []


def measurement(session, facts, requests=200):
    return Measurement(session, "fast", "light", 1, Sizes(requests, 500, 3.0), facts)


def test_one_caller_has_its_percentiles(facts):
    session = Asked()
    measurement(session, facts).single()
    assert session.patient == [False]
    (found,) = facts
    assert isinstance(found, Single)
    assert (found.requests, found.p50_ms, found.p90_ms, found.wrong) == (300, 10.0, 10.0, 1)
    assert (found.round, found.contender, found.workload) == (1, "fast", "light")


def test_photos_at_hand_are_measured_between_two_limits(facts):
    limits, session = iter(measured.LIMITS[0]), Asked()
    measurement(session, facts).offline(lambda: next(limits))
    assert session.patient == [True]
    (found,) = facts
    assert isinstance(found, Offline)
    assert (found.photos, found.seconds, found.rate) == (499, 5.0, pytest.approx(99.8))
    assert found.limits == measured.LIMITS[0]


def test_the_servers_rate_is_searched_and_each_point_kept(facts):
    measurement(Asked(), facts).server(0.1)
    *points, found = facts
    assert isinstance(found, Found)
    # One request at a time and 10 ms each, for two seconds.
    assert 50 < found.rate < 105
    assert all(isinstance(each, Point) and each.scenario is Scenario.SERVER for each in points)
    assert points[0].rate == pytest.approx(80)
    assert all(each.bound_ms == 100 and each.arrived == 200 for each in points)


def test_points_of_the_search_end_early_and_others_do_not(facts):
    session = Asked()
    measurement(session, facts).server(0.1)
    assert {limits.missed for _, limits in session.schedules} == {2}
    session.schedules.clear()
    measurement(session, facts).curve((40.0, 80.0), 0.1)
    assert [limits.missed for _, limits in session.schedules] == [200, 200]


def test_a_server_that_keeps_the_bound_at_no_rate_has_none(facts):
    measurement(Asked(), facts).server(0.009)
    assert facts[-1].rate is None


def test_a_slow_rate_of_the_curve_has_as_many_requests_as_25_seconds(facts):
    measurement(Asked(), facts).curve((2.0, 0.1), 0.1)
    assert [each.arrived for each in facts] == [50, 20]


def test_overload_is_three_times_the_own_rate(facts):
    session = Asked(beyond=150)
    measurement(session, facts).overload(100.0, 0.1)
    (found,) = facts
    assert (found.scenario, found.rate) == (Scenario.OVERLOAD, 300.0)
    # 8 seconds at least; 200 requests at 100/s are less.
    assert (found.arrived, found.refused, found.within) == (2400, 2400, 0)


def test_a_point_of_a_generator_that_lags_is_refused(facts):
    session = Asked(late=0.02)
    with pytest.raises(ContenderError, match=r"lagged at 80.0/s in 3 tries, by 20.0 ms of a bound"):
        measurement(session, facts).server(0.1)
    assert [each.lagged for each in facts] == [True] * 3
    assert len({tuple(gaps) for gaps, _ in session.schedules}) == 1


def test_contenders_of_a_round_get_the_same_arrivals(facts):
    one, other = Asked(), Asked(beyond=10)
    for session in (one, other):
        measurement(session, facts).curve((40.0,), 0.1)
    assert one.schedules[0][0] == other.schedules[0][0]
