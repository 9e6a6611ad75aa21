import sys
import time
from subprocess import Popen

import psutil
import pytest

from lab.service import process_tree
from lab.service.process_tree import ProcessTree

BUSY = """
import time
from subprocess import Popen
start = time.process_time()
while time.process_time() - start < 0.3: pass
"""
# A child that is nobody's child any more when its parent has gone, as a daemon is.
DAEMON = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                         start_new_session=True)
print(child.pid, flush=True)
time.sleep(float(sys.argv[1]))
"""


def start(tmp_path, script, *arguments):
    return ProcessTree(
        [sys.executable, "-c", script, *arguments],
        environment={},
        folder=tmp_path,
        log=tmp_path / "logs" / "process.log",
        pipes=True,
    )


def first_line(tree):
    assert tree.process.stdout is not None
    return tree.process.stdout.readline()


def test_the_time_of_children_that_ended_counts(tmp_path):
    script = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BUSY!r}])\n"
        "print('done', flush=True)\nsys.stdin.read()"
    )
    tree = start(tmp_path, script)
    try:
        assert first_line(tree) == "done\n"
        assert tree.cpu_seconds() >= 0.3
        memory = tree.memory()
        assert memory.pss >= memory.uss > 1
    finally:
        tree.stop()


@pytest.mark.parametrize("lives", ["60", "0"])
def test_nothing_is_left_of_a_tree_not_even_its_daemons(tmp_path, lives):
    tree = start(tmp_path, DAEMON, lives)
    daemon = psutil.Process(int(first_line(tree)))
    tree.stop()
    deadline = time.monotonic() + 5
    while daemon.is_running() and daemon.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert tree.ended


def test_log_tail_are_the_end_of_the_log(tmp_path):
    tree = start(tmp_path, "import sys; sys.exit('\\n'.join(map(str, range(40))))")
    tree.process.wait()
    assert tree.log_tail().splitlines()[-1] == "39"
    assert len(tree.log_tail().splitlines()) < 40
    tree.stop()


def test_what_is_interrupted_while_it_starts_leaves_nothing_behind(tmp_path, monkeypatch):
    started = []

    def popen(*arguments, **options):
        started.append(Popen(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(process_tree.subprocess, "Popen", popen)
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path, "import time; time.sleep(600)")
    (process,) = started
    assert process.wait(timeout=20) < 0
    process.stdin.close()
    process.stdout.close()
