"""Whether other backend processes compute: real processes, with this one as their parent."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.backends import company
from server.backends.company import Company

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
    monkeypatch.setattr(company.os, "getppid", company.os.getpid)
    monkeypatch.setattr(company.os, "getpid", lambda: -1)
    monkeypatch.setattr(company, "_LOOKED_FOR_EVERY", 0.0)
    return Company()


def becomes(children, rests):
    until = time.monotonic() + PATIENCE
    while children.rests() is not rests:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_it_rests_where_there_are_no_others(children):
    assert children.rests()


def test_one_that_sleeps_rests_and_one_that_computes_does_not(children, child):
    child(ASLEEP)
    assert becomes(children, rests=True)
    busy = child(BUSY)
    assert becomes(children, rests=False)
    busy.kill()
    busy.wait()
    assert becomes(children, rests=True)


def test_a_process_of_another_parent_does_not_count(children, child, monkeypatch):
    """Linux gives the number of one that ended to another."""
    child(BUSY)
    assert becomes(children, rests=False)
    monkeypatch.setattr(company, "_LOOKED_FOR_EVERY", float("inf"))
    children._parent = -2
    assert children.rests()


def test_one_that_rests_for_a_moment_only_does_not_count_as_resting(children, monkeypatch):
    monkeypatch.setattr(company, "_WINDOW", 0.0)
    # A machine with other work gives it less of a core.
    monkeypatch.setattr(company, "_BUSY", 0.02)
    work = "import time\ninput()\nwhile time.process_time() < 1: pass\nprint()\ninput()"
    command = [sys.executable, "-u", "-c", work]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as worker:
        assert becomes(children, rests=True)
        worker.stdin.write(b"\n")
        worker.stdin.flush()
        worker.stdout.readline()
        time.sleep(0.1)
        state = Path(f"/proc/{worker.pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
        assert state == b"S"
        assert not children.rests()
        assert becomes(children, rests=True)
        worker.stdin.close()
