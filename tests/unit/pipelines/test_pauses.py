"""A launcher that stood still knows it."""

import os
import signal
import subprocess
import sys
import threading
import time

from pipelines.pauses import Pauses

PROGRAM = """
import sys, time
from pipelines.pauses import Pauses
pauses = Pauses()
print("ready", flush=True)
sys.stdin.readline()
time.sleep(1)
print(pauses.stood_still(), pauses.stood_still(), flush=True)
"""


def test_work_of_the_launcher_is_no_pause():
    pauses = Pauses()
    until = time.monotonic() + 1
    while time.monotonic() < until:
        pass
    assert pauses.stood_still() is None


def test_a_process_that_was_stopped_knows_for_how_long_and_says_it_once():
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(5.6)
        os.kill(process.pid, signal.SIGCONT)
        told, again = process.communicate("\n", timeout=30)[0].split()
    assert float(told) > 5
    assert again == "None"


def test_what_was_under_way_in_a_pause_is_known_even_before_the_next_tick(monkeypatch):
    pauses = Pauses()
    now = time.monotonic()
    assert not pauses.overlapped(now)
    monkeypatch.setattr(pauses, "_last", (now - 10, time.time() - 10))
    assert pauses.overlapped(now - 11)


def test_what_comes_right_after_a_pause_is_not_trusted_either(monkeypatch):
    noticed = threading.Event()
    pauses = Pauses(noticed.set)
    monkeypatch.setattr(pauses, "_last", (time.monotonic() - 10, time.time() - 10))
    assert noticed.wait(5)
    assert pauses.overlapped(time.monotonic())
    assert not pauses.overlapped(time.monotonic() + 4)
