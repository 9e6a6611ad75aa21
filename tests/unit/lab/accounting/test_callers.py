"""Callers ask again under one key until there is an answer; the ledger has all that they saw."""

import threading
import time

import pytest

from lab.accounting import callers
from lab.accounting.callers import HTTP, Answer, Callers, DoorError, Ledger, same
from lab.errors import LabError

RIGHT = [0.25, 0.75]


class Door(callers.Door):
    """Refuses each first attempt, and answers the second."""

    name = HTTP

    def __init__(self, asked, probabilities):
        self._asked, self._probabilities = asked, probabilities
        self._refused = set()

    def ask(self, photo, request_id, key):
        self._asked.append((request_id, key))
        if request_id not in self._refused:
            self._refused.add(request_id)
            raise DoorError("503")
        return Answer(request_id, photo, ("chain", 1, "head"), self._probabilities)

    def close(self):
        pass


def seen(probabilities, monkeypatch, answers=3):
    monkeypatch.setattr(callers, "_PAUSE", 0.001)
    asked = []
    enough = threading.Event()
    ledger = Ledger()
    with Callers(lambda: [Door(asked, probabilities)], {0: RIGHT}, ledger):
        while len(ledger.answers) < answers:
            enough.wait(0.005)
    return asked, ledger


def test_a_request_with_a_key_is_asked_until_it_is_answered(monkeypatch):
    asked, ledger = seen(RIGHT, monkeypatch)
    keyed = [(name, key) for name, key in asked if key]
    for answer in ledger.answers:
        assert [name for name, _ in keyed].count(answer.id) == 2
    assert all(name == f"key-{key}" for name, key in keyed)
    # Without a key nothing is asked twice.
    alone = [name for name, key in asked if key is None]
    assert len(set(alone)) == len(alone) > 0
    assert ledger.wrong == ledger.given_up == 0


def test_an_answer_that_is_not_the_reference_is_wrong(monkeypatch):
    _, ledger = seen([0.75, 0.25], monkeypatch)
    assert ledger.wrong == len(ledger.answers)


def test_who_gets_no_answer_gives_up_in_time(monkeypatch):
    monkeypatch.setattr(callers, "_PATIENCE", -1.0)
    monkeypatch.setattr(callers, "_PAUSE", 0.001)
    ledger = Ledger()
    with Callers(lambda: [Door([], RIGHT)], {0: RIGHT}, ledger):
        while not ledger.given_up:
            time.sleep(0.005)
    assert ledger.answers == []


def test_a_door_recovers_with_the_answer_to_what_was_asked_after_its_last_failure():
    ledger, now = Ledger(), time.monotonic() - 60
    ledger.failures[HTTP] = [(now - 5, "503"), (now + 1, "503"), (now + 9, "503")]
    ledger.moments[HTTP] = [(now + 2, now + 3), (now + 8, now + 10), (now + 9.5, now + 11)]
    assert ledger.recovered(HTTP, now) == pytest.approx(11)
    assert ledger.failed(now) == {"503": 2}


def test_a_door_that_stays_silent_is_no_recovery(monkeypatch):
    monkeypatch.setattr(callers, "_PATIENCE", 0.2)
    with pytest.raises(LabError, match="no recovery"):
        Ledger().recovered(HTTP, time.monotonic())


def test_probabilities_are_the_same_within_rounding_and_of_as_many_classes():
    assert same([0.25, 0.75], [0.25001, 0.74999])
    assert not same([0.25, 0.75], [0.26, 0.74])
    assert not same([1.0], [1.0, 0.0])
