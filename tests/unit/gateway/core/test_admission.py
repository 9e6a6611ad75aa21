import math
from collections import Counter
from types import SimpleNamespace

import pytest

from gateway.core import admission as module
from gateway.core.admission import Admission
from gateway.errors import Code, RefusedError


class Left:
    """What callers left behind, by pipeline."""

    def __init__(self, **images):
        self.left_behind = Counter(images)


def test_requests_beyond_the_limit_are_refused_until_one_leaves():
    admission = Admission(2, 1000, Left())
    with admission.admit("p", 1):
        with admission.admit("p", 1):
            assert admission.in_flight["p"] == 2
            with pytest.raises(RefusedError) as caught, admission.admit("p", 1):
                pass
            assert (caught.value.code, caught.value.reason) == (Code.BUSY, "requests")
        with admission.admit("p", 1):
            pass
    assert admission.in_flight["p"] == 0


def test_bytes_beyond_the_limit_are_refused_until_some_are_free():
    admission = Admission(10, 1000, Left())
    with admission.admit("p", 600):
        with pytest.raises(RefusedError) as caught, admission.admit("p", 401):
            pass
        assert caught.value.reason == "bytes"
        with admission.admit("p", 400):
            pass
    with admission.admit("p", 1000):
        pass


def test_a_place_is_given_back_when_the_work_fails():
    admission = Admission(1, 1, Left())
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), admission.admit("p", 1):
            raise ZeroDivisionError


def test_what_callers_left_behind_takes_places():
    left = Left(another=1)
    admission = Admission(2, 1000, left)
    with admission.admit("p", 1):
        with pytest.raises(RefusedError), admission.admit("p", 1):
            pass
        left.left_behind.clear()
        with admission.admit("p", 1):
            pass


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class Callers:
    """Requests that come and are answered one after the other."""

    def __init__(self, admission, clock):
        self.admission, self.clock, self.held = admission, clock, []

    def come(self, count):
        for _ in range(count):
            place = self.admission.admit("p", 1)
            place.__enter__()
            self.held.append(place)

    def are_answered(self, count, seconds):
        for _ in range(count):
            self.clock.now += seconds
            self.held.pop(0).__exit__(None, None, None)


def test_a_request_that_would_wait_too_long_is_refused_and_told_how_long(clock):
    callers = Callers(Admission(1000, 1000, Left(), wait=5), clock)
    callers.come(40)
    callers.are_answered(20, 0.5)
    with pytest.raises(RefusedError) as caught:
        callers.come(1)
    assert (caught.value.code, caught.value.retry_after) == (Code.BUSY, 5)
    assert caught.value.reason == "wait"
    callers.are_answered(10, 0.5)
    callers.come(1)


def test_who_has_less_time_than_it_would_wait_is_refused(clock):
    admission = Admission(1000, 1000, Left(), wait=30)
    callers = Callers(admission, clock)
    callers.come(40)
    callers.are_answered(20, 0.5)
    with pytest.raises(RefusedError) as caught, admission.admit("p", 1, 9.5):
        pass
    assert (caught.value.code, caught.value.retry_after) == (Code.BUSY, 1)
    assert caught.value.reason == "wait"
    with admission.admit("p", 1, 10.5):
        pass


def test_what_callers_of_the_pipeline_left_behind_is_waited_for(clock):
    left = Left(another=100)
    callers = Callers(Admission(1000, 1000, left, wait=5), clock)
    callers.come(20)
    callers.are_answered(20, 0.5)
    left.left_behind["p"] = 11
    with pytest.raises(RefusedError) as caught:
        callers.come(1)
    assert (caught.value.code, caught.value.retry_after) == (Code.BUSY, 1)
    left.left_behind["p"] = 10
    callers.come(1)


def test_the_same_queue_before_a_fast_pipeline_is_let_in(clock):
    callers = Callers(Admission(1000, 1000, Left(), wait=5), clock)
    callers.come(40)
    callers.are_answered(20, 0.05)
    callers.come(60)


def test_a_few_are_let_in_however_slow_the_pipeline_is(clock):
    callers = Callers(Admission(1000, 1000, Left(), wait=5), clock)
    callers.come(20)
    callers.are_answered(20, 60)
    callers.come(8)
    with pytest.raises(RefusedError):
        callers.come(1)


def test_a_rest_is_not_taken_for_slowness(clock):
    callers = Callers(Admission(1000, 1000, Left(), wait=5), clock)
    for _ in range(20):
        callers.come(1)
        callers.are_answered(1, 0.1)
        clock.now += 3600
    callers.come(40)


def test_without_a_limit_on_the_wait_all_may_wait(clock):
    callers = Callers(Admission(1000, 1000, Left(), wait=math.inf), clock)
    callers.come(20)
    callers.are_answered(20, 60)
    callers.come(30)


def test_what_fails_says_that_it_is_slow_and_not_that_it_is_fast(clock):
    callers = Callers(Admission(1000, 1000, Left(), wait=5), clock)
    callers.come(60)
    callers.are_answered(20, 0.05)
    for _ in range(20):
        clock.now += 1
        callers.held.pop(0).__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    callers.are_answered(1, 1)
    with pytest.raises(RefusedError):
        callers.come(1)
