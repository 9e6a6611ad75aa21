"""A study is sent again while that helps, and always ends."""

import json

import pytest

from loadtest.ledger import Ledger
from loadtest.reply import read_http, unreachable
from loadtest.study import End, Patience, deliver
from tests.unit.loadtest.toy_service import BUSY, PIPELINE, RIGHT

ANSWER = read_http(200, None, json.dumps(RIGHT).encode(), PIPELINE, None)
REFUSAL = read_http(429, "3", json.dumps(BUSY).encode(), PIPELINE, None)
AWAY = read_http(503, None, b"", PIPELINE, None)
LATE = read_http(504, None, json.dumps({"code": "deadline"}).encode(), PIPELINE, None)
GONE = unreachable(ConnectionResetError())


class Time:
    """A clock that only sleeping and asking move."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def sent(*replies, attempts=4, intended=100.0, fault=""):
    time, script = Time(), list(replies)

    def ask():
        time.now += 0.5
        return script.pop(0)

    outcome = deliver(
        ask,
        lambda _: fault,
        Patience(attempts),
        intended=intended,
        clock=lambda: time.now,
        sleep=time.sleep,
    )
    return outcome, time, script


def test_an_answer_ends_it_and_is_timed_from_the_intended_moment():
    outcome, time, _ = sent(ANSWER, intended=98.0)
    assert (outcome.end, outcome.attempts) == (End.ANSWERED, 1)
    assert outcome.seconds == 2.5
    assert time.slept == []


def test_retry_after_is_honoured():
    outcome, time, _ = sent(REFUSAL, REFUSAL, ANSWER)
    assert (outcome.end, outcome.attempts) == (End.ANSWERED, 3)
    assert time.slept == [3.0, 3.0]
    assert outcome.refusals == [0.5, 0.5]
    assert outcome.seconds == 7.5


@pytest.mark.parametrize("reply", [AWAY, GONE])
def test_without_retry_after_waits_double(reply):
    outcome, time, _ = sent(reply, reply, reply, ANSWER)
    assert outcome.end is End.ANSWERED
    assert outcome.refusals == []
    for wait, limit in zip(time.slept, (0.5, 1.0, 2.0), strict=True):
        assert limit / 2 <= wait <= limit


def test_one_that_is_never_let_in_is_reported_not_lost():
    outcome, _, left = sent(*[REFUSAL] * 5)
    assert (outcome.end, outcome.attempts, len(left)) == (End.REPORTED, 4, 1)
    assert outcome.fault == "429 busy"


def test_what_asking_again_does_not_help_is_not_asked_again():
    outcome, _, left = sent(LATE, ANSWER)
    assert (outcome.end, outcome.fault, len(left)) == (End.WRONG, "504 deadline", 1)


def test_a_wrong_answer_is_a_failure():
    outcome, _, _ = sent(ANSWER, fault="a.jpg: not the answer of the unloaded service")
    assert outcome.end is End.WRONG


def test_every_study_is_accounted_for():
    ledger = Ledger()
    for replies in ([ANSWER], [REFUSAL, ANSWER], [REFUSAL] * 4, [LATE]):
        ledger.begin("engine")
        ledger.end("engine", sent(*replies)[0])
    account = ledger.total()["engine"]
    assert (account.begun, account.answered, account.reported, account.wrong) == (4, 2, 1, 1)
    assert (account.attempts, account.refused, account.open) == (8, 5, 0)


def test_a_study_whose_sender_dies_is_lost():
    ledger = Ledger()

    def dies():
        raise KeyError

    ledger.begin("engine")
    with pytest.raises(KeyError):
        deliver(
            dies,
            lambda _: "",
            Patience(3),
            intended=0,
            clock=lambda: 0.0,
            sleep=lambda _: None,
        )
    assert ledger.total()["engine"].open == 1


def test_workers_are_counted_once_however_often_they_report():
    worker, master = Ledger(), Ledger()
    worker.begin("engine")
    master.update_worker("one", worker.snapshot())
    worker.end("engine", sent(ANSWER)[0])
    for _ in range(3):
        master.update_worker("one", worker.snapshot())
        master.update_worker("two", worker.snapshot())
    account = master.total()["engine"]
    assert (account.begun, account.answered, account.open) == (2, 2, 0)
