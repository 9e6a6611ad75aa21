"""Requests of a schedule: sent whatever answers do, and measured from when they were due."""

import asyncio
import time

import pytest

from lab.load.client import RequestError
from lab.load.scheduled import End, Limits, send

LIMITS = Limits(bound=1.0, missed=1000, under_way=1000, drain=10.0)


class Server:
    """Answers after `seconds`; `planted` does more at the request of that number."""

    def __init__(self, seconds=0.0, planted=None):
        self.seconds, self.planted, self.asked = seconds, planted or {}, []

    async def open(self, workers):
        pass

    async def close(self):
        pass

    async def ask(self, worker, photo):
        self.asked.append(photo)
        if act := self.planted.get(len(self.asked) - 1):
            await act()
        await asyncio.sleep(self.seconds)
        return b"answer"

    def probabilities(self, answer):
        return [1.0]


def sent(server, gaps, limits=LIMITS, photos=3):
    return asyncio.run(send(server, photos, gaps, limits))


def test_requests_are_sent_although_none_is_answered():
    gate = asyncio.Event()

    async def wait_for_all():
        if len(server.asked) == 6:
            gate.set()
        await gate.wait()

    server = Server(planted=dict.fromkeys(range(6), wait_for_all))
    outcome = sent(server, [0.01] * 5)
    assert [each.end for each in outcome.sent] == [End.ANSWERED] * 6
    # Whoever came first waited for the last one.
    assert [each.took >= 0.05 - each.due for each in outcome.sent] == [True] * 6
    assert server.asked == [0, 1, 2, 0, 1, 2]
    assert (outcome.stopped, outcome.pending) == (False, 0)


def test_requests_are_due_at_their_moments_and_never_sent_before():
    outcome = sent(Server(), [0.013, 0.0007, 0.0, 0.021])
    assert [each.due for each in outcome.sent] == pytest.approx([0, 0.013, 0.0137, 0.0137, 0.0347])
    assert all(each.late >= 0 for each in outcome.sent)
    assert outcome.seconds == pytest.approx(0.0347)


def test_a_generator_that_is_held_up_says_so_and_its_lateness_is_in_the_latencies():
    async def hold_up():
        time.sleep(0.1)  # noqa: ASYNC251 - the generator's event loop is held up on purpose

    outcome = sent(Server(planted={1: hold_up}), [0.02] * 4)
    late = [each.late for each in outcome.sent]
    # Due at 0, 20, 40, 60 and 80 ms; from 20 to 120 ms nothing can be sent.
    assert late[2] >= 0.08
    assert late[3] >= 0.06
    assert late[4] >= 0.04
    assert all(each.took >= each.late for each in outcome.sent)


def test_refusals_failures_and_answers_are_told_apart():
    def fails(refused):
        async def fail():
            raise RequestError("busy" if refused else "lost", refused=refused)

        return fail

    outcome = sent(Server(planted={0: fails(True), 2: fails(False)}), [0.0] * 3)
    assert [each.end for each in outcome.sent] == [
        End.REFUSED,
        End.ANSWERED,
        End.FAILED,
        End.ANSWERED,
    ]
    assert [each.reason for each in outcome.sent] == ["busy", "", "lost", ""]


def test_no_more_is_sent_once_more_missed_the_bound_than_may():
    limits = Limits(bound=0.001, missed=2, under_way=1000, drain=10.0)
    outcome = sent(Server(seconds=0.005), [0.01] * 99, limits)
    assert outcome.stopped
    assert 3 <= len(outcome.sent) < 100
    assert outcome.pending == 0


def test_no_more_is_under_way_than_may_be():
    gate = asyncio.Event()

    async def wait():
        asyncio.get_running_loop().call_later(0.05, gate.set)
        await gate.wait()

    limits = Limits(bound=1.0, missed=1000, under_way=2, drain=10.0)
    outcome = sent(Server(planted={0: wait, 1: wait}), [0.001] * 4, limits)
    ends = [each.end for each in outcome.sent]
    assert ends == [End.ANSWERED] * 2 + [End.UNSENT] * 3


def test_what_does_not_end_is_told_and_not_waited_for_without_end():
    async def hang():
        await asyncio.Event().wait()

    limits = Limits(bound=1.0, missed=1000, under_way=10, drain=0.05)
    outcome = sent(Server(planted={0: hang}), [0.0], limits)
    assert outcome.pending == 1
    assert [each.end for each in outcome.sent] == [End.ANSWERED]
