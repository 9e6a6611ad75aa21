"""A Ctrl-C while a user's greenlet runs, in a process of its own."""

import signal
import subprocess
import sys

import pytest

from loadtest.__main__ import ROOT

INTERRUPTED = """
import os, signal
import gevent
from loadtest.interrupt import interrupt_here

def study():
    os.kill(os.getpid(), signal.SIGINT)
    sum(range(100_000))
    print("answered")

interrupt_here()
under_way = gevent.spawn(study)
try:
    gevent.sleep(0.5)
    print("waited")
except KeyboardInterrupt:
    print("interrupted")
under_way.join()
"""


@pytest.mark.parametrize(
    ("disposition", "told"),
    [(signal.SIG_DFL, ["answered", "interrupted"]), (signal.SIG_IGN, ["answered", "waited"])],
)
def test_a_study_is_answered_and_whoever_waits_is_interrupted(disposition, told):
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, disposition),
    )
    assert ended.stdout.split() == told
    assert not ended.stderr
