"""Whether other backend processes compute: real processes, with this one as their parent."""

import subprocess
import sys
import time

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
