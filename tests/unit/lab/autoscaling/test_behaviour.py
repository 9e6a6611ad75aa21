"""Each rule of `spec.behavior` alone."""

import pytest

from lab.autoscaling.behaviour import Behaviour, Change, Policy, Rules


def rules(select, *policies, window=0.0):
    return Rules(window, select, tuple(Policy(*policy) for policy in policies))


def test_pods_add_to_what_was_there_when_the_period_began():
    up = rules("Max", ("Pods", 2, 60))
    assert up.highest(100, 3, []) == 5
    assert up.highest(100, 5, [Change(70, 2)]) == 5
    assert up.highest(130, 5, [Change(70, 2)]) == 7


def test_percent_going_up_is_rounded_up():
    assert rules("Max", ("Percent", 10, 60)).highest(100, 5, []) == 6
    assert rules("Max", ("Percent", 10, 60)).highest(100, 10, []) == 11


def test_percent_going_down_leaves_whole_replicas():
    assert rules("Max", ("Percent", 10, 60)).lowest(100, 5, []) == 4
    assert rules("Max", ("Percent", 50, 60)).lowest(100, 4, []) == 2


@pytest.mark.parametrize(("select", "up", "down"), [("Max", 8, 2), ("Min", 6, 3)])
def test_of_several_policies_the_fastest_or_the_slowest_counts(select, up, down):
    both = rules(select, ("Pods", 2, 60), ("Percent", 100, 60))
    assert both.highest(100, 4, []) == up
    slow = rules(select, ("Pods", 1, 60), ("Percent", 50, 60))
    assert slow.lowest(100, 4, []) == down


def test_a_direction_that_is_disabled_does_not_move():
    never = rules("Disabled", ("Pods", 4, 60))
    assert never.highest(100, 3, []) == never.lowest(100, 3, []) == 3


def test_what_went_within_the_period_may_come_back():
    assert rules("Max", ("Pods", 2, 60)).highest(100, 3, [Change(90, -1)]) == 6


def test_what_came_within_the_period_counts_against_going_down():
    assert rules("Max", ("Pods", 1, 60)).lowest(100, 4, [Change(90, 2)]) == 1
    assert rules("Max", ("Pods", 1, 60)).lowest(100, 4, [Change(90, -1)]) == 4


def test_limits_never_turn_a_direction_round():
    assert rules("Max", ("Pods", 1, 60)).highest(100, 5, [Change(90, 3)]) == 5


def test_where_the_manifest_is_silent_kubernetes_defaults_hold():
    read = Behaviour.read({})
    assert (read.up.window, read.down.window) == (0, 300)
    assert read.up.highest(0, 1, []) == 5
    assert read.down.lowest(0, 8, []) == 0


def test_a_window_of_nothing_is_not_the_default():
    read = Behaviour.read({"scaleDown": {"stabilizationWindowSeconds": 0}})
    assert read.down.window == 0
    assert read.down.policies


def test_faster_divides_all_times_and_nothing_else():
    given = {"stabilizationWindowSeconds": 600, "policies": [POD_EACH_TWO_MINUTES]}
    down = Behaviour.read({"scaleDown": given}).faster(15).down
    assert down == Rules(40, "Max", (Policy("Pods", 1, 8),))


POD_EACH_TWO_MINUTES = {"type": "Pods", "value": 1, "periodSeconds": 120}
