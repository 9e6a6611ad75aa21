"""Starts the command as a process of its own."""

import subprocess
import sys
import time

COMMAND = [sys.executable, "-m", "secondopinion", "predict"]


def start(words, environment, **kwargs):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | kwargs
    return subprocess.Popen([*COMMAND, *map(str, words)], env=environment, **pipes)


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not happen within 20 s"
        time.sleep(0.02)
