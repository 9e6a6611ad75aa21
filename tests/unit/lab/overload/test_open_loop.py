"""Arrivals follow their schedule, whatever answers do."""

import asyncio
import itertools
import random
import statistics
import time

import pytest

from lab.load.http_connections import HttpConnections
from lab.load.open_loop import OpenLoop
from lab.overload.calls import ComparedRequests
from loadtest import arrivals
from loadtest.photos import Photo
from loadtest.study import End
from loadtest.target import Target
from tests.unit.loadtest.toy_service import BUSY, PIPELINE

PHOTOS = [Photo("a.jpg", b"a"), Photo("b.jpg", b"b")]


def test_constant_arrivals_are_evenly_spaced():
    moments = arrivals.intended(arrivals.constant(4), 100.0)
    assert list(itertools.islice(moments, 4)) == [100.0, 100.25, 100.5, 100.75]


def test_poisson_arrivals_have_their_rate_and_no_memory():
    gaps = list(itertools.islice(arrivals.poisson(5, random.Random(1)), 20_000))
    assert statistics.fmean(gaps) == pytest.approx(0.2, rel=0.03)
    # Of an exponential distribution, the deviation equals the mean.
    assert statistics.stdev(gaps) == pytest.approx(0.2, rel=0.05)


def flood(toy, count, rate):
    async def run():
        target = Target(toy.url, "", PIPELINE)
        async with HttpConnections(toy.url, {}) as connections:
            requests = ComparedRequests(connections, target, PHOTOS)
            await requests.learn()
            poured = OpenLoop(requests.call)
            await poured.run(itertools.repeat(1 / rate, count - 1), 1e9)
            await poured.drain()
            return poured.calls

    return asyncio.run(run())


def test_requests_are_sent_although_none_is_answered(toy):
    # No answer comes before all eight are there: a closed loop would wait for ever.
    toy.after, toy.gate = len(PHOTOS), 8
    calls = flood(toy, 8, 50)
    assert [call.end for call in calls] == [End.ANSWERED] * 8


def test_latency_counts_from_the_intended_moment(toy):
    toy.after, toy.gate = len(PHOTOS), 8
    calls = sorted(flood(toy, 8, 20), key=lambda call: call.intended)
    # All are answered when the last has come: the first waited for all of them.
    assert calls[0].seconds >= 7 / 20
    gaps = [later.intended - sooner.intended for sooner, later in itertools.pairwise(calls)]
    assert gaps == pytest.approx([1 / 20] * 7)


def test_refusals_failures_and_wrong_answers_are_told_apart(toy):
    toy.after = len(PHOTOS)
    healthy = {"pipeline": PIPELINE, "prediction": "healthy", "confidence": 0.9}
    toy.script = [
        (429, BUSY, {"Retry-After": "1"}),
        (503, {"code": "unavailable"}, {}),
        (200, healthy, {}),
        (200, {"pipeline": PIPELINE}, {}),
    ]
    calls = flood(toy, 5, 5)
    assert sorted((call.end.value, call.fault) for call in calls) == [
        ("answered", ""),
        ("reported", "429 busy"),
        ("wrong", "503 unavailable"),
        ("wrong", "a.jpg: not the answer of the unloaded service"),
        ("wrong", "the answer has no prediction"),
    ]


def test_a_sender_who_is_late_catches_up(toy):
    async def run():
        async with HttpConnections(toy.url, {}) as connections:
            requests = ComparedRequests(connections, Target(toy.url, "", PIPELINE), PHOTOS)
            await requests.learn()
            poured = OpenLoop(requests.call)
            task = asyncio.create_task(poured.run(itertools.repeat(0.01, 19), 1e9))
            await asyncio.sleep(0)
            time.sleep(0.15)  # noqa: ASYNC251 - the event loop is held up on purpose
            await task
            await poured.drain()
            return poured.calls

    moments = sorted(call.intended for call in asyncio.run(run()))
    assert len(moments) == 20
    assert moments[-1] - moments[0] == pytest.approx(0.19)
