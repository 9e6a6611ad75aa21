"""A launcher that stood still knows it."""

import os
import signal
import subprocess
import sys
import time

from server.launcher.pauses import Pauses

PROGRAM = """
import sys, time
from server.launcher.pauses import Pauses
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
