"""A test that fails is run once more where it did not get the machine, and only there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOOKS = "from tests.conftest import pytest_collection_modifyitems, pytest_runtest_setup\n"
FAILS_ONCE = """
import signal, subprocess, os
from pathlib import Path
from tests import stalls

def test_fails_once(tmp_path_factory):
    stalls._PRESSURE = Path({pressure!r})
    {first}
    mark = Path({mark!r})
    tried = mark.exists()
    mark.touch()
    assert tried, "for the first time"
"""
STANDS_STILL = (
    "subprocess.Popen(['sh', '-c', f'sleep 1; kill -STOP {os.getpid()}; sleep 4; "
    "kill -CONT {os.getpid()}']).wait()"
)


@pytest.mark.parametrize(
    ("first", "pressure", "ended"),
    [
        ("pass", 3.0, "1 failed in"),
        (STANDS_STILL, 3.0, "1 passed, 1 rerun in"),
        ("pass", 93.5, "1 passed, 1 rerun in"),
        ("pass", None, "1 failed in"),
    ],
)
def test_a_failure_counts_unless_the_machine_was_elsewhere(tmp_path, first, pressure, ended):
    told = tmp_path / "pressure"
    if pressure is not None:
        told.write_text(f"some avg10=0.00 avg60={pressure:.2f} avg300=0.00 total=1\n", "ascii")
    (tmp_path / "conftest.py").write_text(HOOKS, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -raR\n", "utf-8")
    test = FAILS_ONCE.format(pressure=str(told), first=first, mark=str(tmp_path / "tried"))
    (tmp_path / "test_once.py").write_text(test, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    last = done.stdout.splitlines()[-1]
    assert ended in last, done.stdout + done.stderr
    if "rerun" in ended:
        assert "RERUN test_once.py::test_fails_once" in done.stdout
