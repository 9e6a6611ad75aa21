"""Every budget fails on a planted breach, and on nothing measured."""

import math

import pytest

from loadtest.budgets import OverloadBudget, UserBudget
from loadtest.judgement import Figures, judge_overload, judge_users
from loadtest.ledger import Account

BUDGET = UserBudget(error_rate=0.01, shed_share=0.1, p99_ratio=5, lost_studies=0)
OVERLOAD = OverloadBudget(
    goodput_share=0.9,
    refusal_ratio=0.1,
    recovery_ratio=10,
    memory_growth=0.05,
    unready_polls=0,
    error_rate=0,
)
HELD = {
    "goodput_share": 0.9,
    "refusal_ratio": 0.1,
    "recovery_ratio": 10,
    "memory_growth": 0.05,
    "unready_polls": 0,
    "error_rate": 0,
}


def figures(p99=500.0, unloaded=100.0, **counts):
    account = {"begun": 100, "answered": 99, "wrong": 1, "attempts": 110, "refused": 11}
    return Figures(Account(**(account | counts)), unloaded, 200.0, p99)


def broken(measured):
    return [breach.budget for breach in judge_users({"clinic": BUDGET}, {"clinic": measured})]


def test_figures_at_their_bounds_hold():
    assert broken(figures()) == []


@pytest.mark.parametrize(
    ("measured", "budget"),
    [
        (figures(answered=98, wrong=2), "error_rate"),
        (figures(answered=98, reported=1), "error_rate"),
        (figures(refused=12), "shed_share"),
        (figures(p99=501.0), "p99_ratio"),
        (figures(answered=98), "lost_studies"),
    ],
)
def test_each_budget_of_a_user_breaks_alone(measured, budget):
    assert broken(measured) == [budget]


def test_a_user_who_sent_nothing_holds_no_budget():
    measured = Figures(Account(), None, None, None)
    assert broken(measured) == ["error_rate", "shed_share", "p99_ratio"]
    (first, *_) = judge_users({"clinic": BUDGET}, {"clinic": measured})
    assert str(first) == "clinic: error_rate was not measured (bound 0.01)"


def test_a_breach_names_figure_and_bound():
    (breach,) = judge_users({"clinic": BUDGET}, {"clinic": figures(p99=750.0)})
    assert str(breach) == "clinic: p99_ratio 7.5 is over its bound 5"


def test_an_overload_at_its_bounds_holds():
    assert judge_overload(OVERLOAD, HELD) == []


@pytest.mark.parametrize(
    ("budget", "figure", "says"),
    [
        ("goodput_share", 0.89, "goodput_share 0.89 is under its bound 0.9"),
        ("refusal_ratio", 0.11, "refusal_ratio 0.11 is over its bound 0.1"),
        ("recovery_ratio", 10.5, "recovery_ratio 10.5 is over its bound 10"),
        ("recovery_ratio", None, "recovery_ratio was not measured (bound 10)"),
        ("memory_growth", 0.06, "memory_growth 0.06 is over its bound 0.05"),
        ("unready_polls", 1, "unready_polls 1 is over its bound 0"),
        ("error_rate", 0.001, "error_rate 0.001 is over its bound 0"),
        ("refusal_ratio", math.nan, "refusal_ratio nan is over its bound 0.1"),
    ],
)
def test_each_budget_of_an_overload_breaks_alone(budget, figure, says):
    (breach,) = judge_overload(OVERLOAD, HELD | {budget: figure})
    assert str(breach) == f"overload: {says}"
