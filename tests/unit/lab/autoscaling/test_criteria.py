"""What a run must show, each on a run that shows all but one thing."""

from dataclasses import replace

import pytest

from lab.autoscaling.criteria import problems
from tests.unit.lab.autoscaling.runs import good, with_look, with_moment


def test_a_good_run_shows_everything():
    assert problems(good()) == []


WRONG = {
    "quiet again: 2 replicas at its end, not 1": lambda run: with_look(
        with_look(run, 28, current=2), 29, current=2
    ),
    "overload: replicas went up and down": lambda run: with_look(run, 15, current=2),
    "nothing was refused": lambda run: replace(
        run, moments=[replace(m, refused=0) for m in run.moments]
    ),
    "more than 40 requests were in flight": lambda run: with_look(run, 15, in_flight=41.0),
    "nothing is known of overload": lambda run: replace(run, maximum=6),
    "2 requests failed: 2 times 503 unavailable": lambda run: replace(
        with_moment(run, 3, failed=2), faults={"503 unavailable": 2}
    ),
    "3 inferences failed behind the gateway": lambda run: replace(run, repeated=3),
    "nothing is known of drains": lambda run: replace(run, drains=run.drains[1:]),
    "at 4 s the ScaledObject asks for 1": lambda run: with_look(run, 4, by_hpa=2),
}


@pytest.mark.parametrize("said", WRONG)
def test_a_run_that_lacks_one_thing_says_which(said):
    found = problems(WRONG[said](good()))
    assert len(found) == 1
    assert said in found[0]


def test_growth_that_stalls_at_the_gateways_limit_is_found():
    run = good()
    stalled = [replace(each, current=min(each.current, 3)) for each in run.looks]
    found = problems(replace(run, looks=stalled))
    assert any("no more than requests in flight alone ask for" in problem for problem in found)


def test_a_run_without_looks_shows_nothing():
    assert len(problems(replace(good(), looks=[]))) >= 3
