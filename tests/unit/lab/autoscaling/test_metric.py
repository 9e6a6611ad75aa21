"""Replicas that one metric's value asks for."""

import pytest

from lab.autoscaling.metric import Metric

DEMAND = Metric("demand", "q", "AverageValue", 16_000)
QUEUE = Metric("queue", "q", "Value", 1000)


@pytest.mark.parametrize(
    ("value", "current", "expected"),
    [
        (0, 1, 0),
        (16.1, 2, 2),
        (32.1, 1, 3),
        # Within a tenth of what is there, nothing changes, though ceil would say more.
        (17.5, 1, 1),
        (17.7, 1, 2),
        (29, 2, 2),
        (45, 3, 3),
        (160, 1, 10),
    ],
)
def test_an_average_value_is_shared_out_over_the_replicas(value, current, expected):
    assert DEMAND.proposal(value, current, current) == expected


def test_an_average_value_does_not_ask_who_is_ready():
    assert DEMAND.proposal(40, 4, 0) == 3


@pytest.mark.parametrize(
    ("value", "current", "ready", "expected"),
    [
        (0, 3, 3, 0),
        (1.05, 3, 3, 3),
        (1.2, 3, 3, 4),
        (2, 3, 3, 6),
        # Replicas that are not ready yet are not counted twice.
        (2, 4, 2, 4),
        (2, 4, 1, 2),
        (3, 0, 0, 3),
    ],
)
def test_a_value_scales_what_is_ready(value, current, ready, expected):
    assert QUEUE.proposal(value, current, ready) == expected


def test_a_value_is_cut_off_after_thousandths():
    assert DEMAND.proposal(32.0009, 1, 1) == 2
