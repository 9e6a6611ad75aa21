"""Whether other backend processes compute: real processes, with this one as their parent."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.backends import sibling_load
from server.backends.sibling_load import SiblingLoad

BUSY, ASLEEP = "while True: pass", "import time; time.sleep(600)"
PATIENCE = 20


@pytest.fixture
def child():
    """Starts children of this process, which stands for tritonserver."""
    started = []

    def start(code):
        started.append(subprocess.Popen([sys.executable, "-c", code]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def children(monkeypatch):
    """This process's children, as one of them sees the others."""
    monkeypatch.setattr(sibling_load.os, "getppid", sibling_load.os.getpid)
    monkeypatch.setattr(sibling_load.os, "getpid", lambda: -1)
    monkeypatch.setattr(sibling_load, "_SCAN_SECONDS", 0.0)
    return SiblingLoad()


def becomes(children, idle):
    until = time.monotonic() + PATIENCE
    while children.idle() is not idle:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_without_siblings_they_are_idle(children):
    assert children.idle()


def test_a_sleeping_sibling_is_idle_and_a_computing_one_is_not(children, child):
    child(ASLEEP)
    assert becomes(children, idle=True)
    busy = child(BUSY)
    assert becomes(children, idle=False)
    busy.kill()
    busy.wait()
    assert becomes(children, idle=True)


def test_a_process_of_another_parent_does_not_count(children, child, monkeypatch):
    """Linux gives the number of an ended process to another."""
    child(BUSY)
    assert becomes(children, idle=False)
    monkeypatch.setattr(sibling_load, "_SCAN_SECONDS", float("inf"))
    children._parent = -2
    assert children.idle()


def test_a_sibling_that_pauses_for_a_moment_only_is_not_idle(children, monkeypatch):
    monkeypatch.setattr(sibling_load, "_WINDOW_SECONDS", 0.0)
    # A machine with other work gives it less of a core.
    monkeypatch.setattr(sibling_load, "_BUSY", 0.02)
    work = "import time\ninput()\nwhile time.process_time() < 1: pass\nprint()\ninput()"
    command = [sys.executable, "-u", "-c", work]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as worker:
        assert becomes(children, idle=True)
        worker.stdin.write(b"\n")
        worker.stdin.flush()
        worker.stdout.readline()
        time.sleep(0.1)
        state = Path(f"/proc/{worker.pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
        assert state == b"S"
        assert not children.idle()
        assert becomes(children, idle=True)
        worker.stdin.close()
