"""The command as a process: what a shell sees."""

import json
import signal
import subprocess
import sys
import time

from tests.processes import child

COMMAND = [sys.executable, "-m", "evaluation"]


def test_help_names_both_commands():
    for arguments, says in (
        (["--help"], "python -m evaluation compare --help"),
        (["compare", "--help"], "report.json of the first run, the baseline"),
        ([], "PIPELINE-RELEASE"),
    ):
        ended = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60
        )
        assert says in " ".join(ended.stdout.split())


def test_ctrl_c_ends_with_130_and_leaves_nothing_behind(service, tmp_path):
    (tmp_path / "cancer").mkdir()
    for name in "abcdefgh":
        slow = {"slow": 5, "then": [0.1, 0.9]}
        (tmp_path / "cancer" / name).write_text(json.dumps(slow))
    command = [
        *COMMAND,
        "lesions",
        str(tmp_path),
        "--url",
        service.url,
        "--out",
        str(tmp_path / "run"),
    ]
    with child(command, stderr=subprocess.PIPE, text=True) as run:
        end = time.monotonic() + 60
        while len(service.seen) < 4:
            assert time.monotonic() < end, "the service was not asked"
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=20)
    assert run.returncode == 130
    assert errors.startswith("evaluation: stopped")
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["cancer"]
