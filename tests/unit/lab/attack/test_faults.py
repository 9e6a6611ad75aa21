"""When a service that was broken counts as recovered, and which answers are wrong."""

import time

import pytest

from lab.attack import faults
from lab.attack.faults import Callers
from lab.errors import LabError


@pytest.fixture
def callers():
    return Callers("http://nowhere", [])


def test_recovery_is_the_first_answer_to_what_was_sent_after_the_last_failure(callers):
    now = time.monotonic() - 60
    callers.failed = [(now + 1, "503"), (now + 9, "503")]
    # One that was sent before the last failure, and ones after it.
    callers.good = [(now + 2, now + 3), (now + 8, now + 10), (now + 9.5, now + 11), (now + 12, now)]
    assert callers.recovered(now) == pytest.approx(11)


def test_failures_before_the_fault_do_not_count(callers):
    now = time.monotonic() - 60
    callers.failed = [(now - 5, "503")]
    callers.good = [(now - 1, now + 1), (now + 1, now + 2)]
    assert callers.recovered(now) == pytest.approx(2)


def test_no_answer_is_no_recovery(callers, monkeypatch):
    monkeypatch.setattr(faults, "_PATIENCE", 0.3)
    with pytest.raises(LabError, match="no recovery"):
        callers.recovered(time.monotonic())


def test_an_answer_of_other_numbers_or_classes_is_wrong():
    right = {"probabilities": {"healthy": 0.25, "cancer": 0.75}}
    assert faults._same(right, right)
    assert not faults._same({"probabilities": {"healthy": 0.75, "cancer": 0.25}}, right)
    assert not faults._same({"probabilities": {"healthy": 0.25}}, right)
