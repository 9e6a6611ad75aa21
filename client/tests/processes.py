"""The command as a process of its own."""

import sys
import time

COMMAND = [sys.executable, "-m", "secondopinion", "predict"]


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not happen within 20 s"
        time.sleep(0.02)
