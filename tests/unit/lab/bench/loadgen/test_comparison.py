"""Two load generators are compared by their schedules and by percentiles."""

import random
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from lab.bench.loadgen import comparison
from lab.bench.loadgen.queue_server import ANSWER
from lab.bench.scenarios.schedule import gaps
from lab.load.__main__ import Target
from lab.load.generator import Generator
from lab.load.scheduled import End, Limits
from lab.paths import ROOT
from lab.service.ports import free_ports


def poisson(rate, seed):
    source = random.Random(seed)
    return [source.expovariate(rate) for _ in range(4000)]


def test_two_draws_of_one_process_agree():
    assert all(each.agrees for each in comparison.schedules(poisson(120, 1), gaps(120, 4000, "2")))


@pytest.mark.parametrize(
    ("other", "disagrees"),
    [
        (poisson(140, 2), "arrivals a second"),
        ([1 / 120] * 2000 + [1.05 / 120] * 2000, "deviation of the gaps, of their mean"),
        (sorted(poisson(120, 3)), "correlation of neighbouring gaps"),
    ],
    ids=["faster", "steady", "ordered"],
)
def test_another_process_does_not(other, disagrees):
    found = comparison.schedules(poisson(120, 1), other)
    assert disagrees in [each.name for each in found if not each.agrees]


def test_percentiles_are_compared_in_milliseconds():
    ours = [0.010] * 95 + [0.020] * 5
    found = comparison.percentiles({50: 10.4, 90: 11.0, 99: 26.0}, ours, "requests")
    assert [each.agrees for each in found] == [True, True, False]
    assert found[2].ours == pytest.approx(20.0)


@pytest.fixture
def port():
    (port,) = free_ports(1)
    words = [sys.executable, "-m", "lab.bench.loadgen.queue_server", str(port), "20"]
    server = subprocess.Popen(words, cwd=ROOT)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
    yield port
    server.terminate()
    server.wait()


def test_the_generator_as_a_process_sends_a_schedule_to_a_queue_and_says_what_became_of_it(
    port, tmp_path
):
    (tmp_path / "0.jpg").write_bytes(b"photo")
    named = ANSWER["probabilities"]
    right = list(named.values())
    target = Target("http", port, "/predict", {}, list(named), str(tmp_path), [right])
    generator = Generator(target, ROOT, tmp_path / "log")
    try:
        # Four at once, then one when the queue is empty.
        found = generator.scheduled([0.0, 0.0, 0.0, 0.5], Limits(1.0, 100, 100, 10.0))
        closed = generator.closed(1, fewest=3)
    finally:
        generator.stop()
    assert found["end"] == [End.ANSWERED] * 5
    assert found["due"] == pytest.approx([0, 0, 0, 0, 0.5])
    # One after the other, 20 ms each.
    waited = sorted(found["took"][:4])
    assert [took >= 0.02 * (place + 1) - 0.001 for place, took in enumerate(waited)] == [True] * 4
    assert (found["stopped"], found["pending"], len(found["late"])) == (False, 0, 5)
    assert (len(closed["latencies"]), closed["wrong"], closed["errors"]) == (3, 0, 0)


def test_a_wrong_answer_is_told_from_a_right_one(port, tmp_path):
    (tmp_path / "0.jpg").write_bytes(b"photo")
    classes = list(ANSWER["probabilities"])
    target = Target("http", port, "/predict", {}, classes, str(tmp_path), [[0.3, 0.7]])
    generator = Generator(target, ROOT, tmp_path / "log")
    try:
        found = generator.scheduled([0.0], Limits(1.0, 100, 100, 10.0))
    finally:
        generator.stop()
    assert found["end"] == [End.WRONG] * 2
