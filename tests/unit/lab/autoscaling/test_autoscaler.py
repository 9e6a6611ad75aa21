"""Decisions over time, on known trajectories."""

import itertools

import pytest

from lab.autoscaling.autoscaler import Autoscaler, Scaling
from lab.autoscaling.behaviour import Behaviour, Policy, Rules
from lab.autoscaling.metric import Metric

UP = Rules(0, "Max", (Policy("Pods", 2, 60), Policy("Percent", 100, 60)))
DOWN = Rules(600, "Max", (Policy("Pods", 1, 120),))
AT_ONCE = Rules(0, "Max", (Policy("Percent", 900, 15),))
LOAD = Metric("load", "q", "AverageValue", 4000)
WAIT = Metric("wait", "q", "Value", 1000)


def autoscaler(*metrics, up=UP, down=DOWN, minimum=1, maximum=8):
    scaling = Scaling("test", minimum, maximum, metrics or (LOAD,), Behaviour(up, down))
    return Autoscaler(scaling)


class Run:
    """Looks every 15 seconds; what is decided is there, and ready, at once."""

    def __init__(self, scaler, current=1):
        self.scaler, self.current, self.now = scaler, current, 0.0

    def last(self, seconds, **values):
        """The replicas of each look."""
        seen = []
        for _ in range(int(seconds / 15)):
            self.current = self.scaler.decide(self.now, self.current, self.current, values).replicas
            seen.append(self.current)
            self.now += 15
        return seen


def steps(seen):
    return [number for number, _ in itertools.groupby(seen)]


def test_the_known_trajectory_of_the_real_controller():
    run = Run(autoscaler())
    assert steps(run.last(300, load=3)) == [1]
    assert steps(run.last(300, load=30)) == [3, 6, 8]
    down = run.last(2400, load=2)
    assert steps(down) == [8, 7, 6, 5, 4, 3, 2, 1]
    # Ten minutes of window, then one replica each two minutes.
    assert [down.index(number) * 15 for number in (7, 6, 5)] == [585, 705, 825]


def test_going_up_waits_for_the_least_of_its_window():
    run = Run(autoscaler(up=Rules(60, "Max", AT_ONCE.policies)))
    run.last(60, load=3)
    assert run.last(90, load=30)[:4] == [1, 1, 1, 8]


def test_going_down_holds_the_most_of_its_window():
    run = Run(autoscaler(up=AT_ONCE), current=2)
    run.last(15, load=30)
    assert set(run.last(580, load=2)) == {8}
    assert set(run.last(15, load=30)) == {8}
    assert set(run.last(580, load=2)) == {8}


def test_a_short_dip_does_not_scale_down():
    run = Run(autoscaler(), current=4)
    for _ in range(10):
        assert set(run.last(300, load=2) + run.last(60, load=15)) == {4}


def test_the_metric_that_asks_for_more_wins():
    scaler = autoscaler(LOAD, WAIT, up=AT_ONCE)
    assert scaler.decide(0, 2, 2, {"load": 4, "wait": 1.5}).replicas == 3
    assert scaler.decide(15, 3, 3, {"load": 30, "wait": 0.1}).replicas == 8


def test_a_metric_that_fails_blocks_going_down_but_not_up():
    scaler = autoscaler(LOAD, WAIT, up=AT_ONCE, down=AT_ONCE)
    scaler.decide(0, 4, 4, {"load": 16, "wait": 0})
    blocked = scaler.decide(15, 4, 4, {"load": 4, "wait": None})
    assert (blocked.wanted, blocked.replicas) == (None, 4)
    assert scaler.decide(30, 4, 4, {"load": 30, "wait": None}).replicas == 8
    assert scaler.decide(45, 8, 8, {"load": 4, "wait": 0}).replicas == 1


def test_nothing_moves_where_every_metric_fails():
    scaler = autoscaler(LOAD, WAIT, down=AT_ONCE)
    assert scaler.decide(0, 4, 4, {"load": None, "wait": None}).replicas == 4


@pytest.mark.parametrize(("value", "expected"), [(0, 2), (400, 6)])
def test_minimum_and_maximum_bound_every_decision(value, expected):
    scaler = autoscaler(up=AT_ONCE, down=AT_ONCE, minimum=2, maximum=6)
    scaler.decide(0, 3, 3, {"load": 12})
    assert scaler.decide(15, 3, 3, {"load": value}).replicas == expected


def test_what_is_out_of_bounds_is_brought_back_whatever_the_metrics_say():
    scaler = autoscaler(minimum=2, maximum=6)
    assert scaler.decide(0, 1, 1, {"load": None}).replicas == 2
    assert scaler.decide(15, 9, 9, {"load": None}).replicas == 6


def test_within_the_tolerance_nothing_moves():
    scaler = autoscaler(up=AT_ONCE, down=AT_ONCE)
    assert scaler.decide(0, 4, 4, {"load": 17.5}).replicas == 4
    assert scaler.decide(15, 4, 4, {"load": 17.7}).replicas == 5
