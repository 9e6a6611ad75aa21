"""Children of tests that send Ctrl-C, also where the tests run in a shell's background."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.processes import child

SLEEPS = "import time; print(flush=True); time.sleep(600)"
STARTS_ANOTHER = f"""
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
{SLEEPS}
"""


@pytest.fixture
def in_the_background():
    """This process ignores SIGINT, as below `nohup make test &` in a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def start(code):
    return child([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def test_ctrl_c_ends_a_child_where_sigint_is_ignored(in_the_background):
    with start(SLEEPS) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == -signal.SIGINT


def test_what_a_child_started_ends_with_it():
    with start(STARTS_ANOTHER) as process:
        other = psutil.Process(int(process.stdout.readline()))
    assert process.returncode == -signal.SIGKILL
    end = time.monotonic() + 20
    while other.is_running() and other.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)
