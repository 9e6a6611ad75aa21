"""The command as a process of its own: signals, pipes and terminals."""

import json
import os
import pty
import signal
import time

import pytest

from client.tests.processes import wait_until
from client.tests.service import PHOTO


@pytest.fixture
def half_slow(tmp_path):
    """Photos that are answered at once, and after each one that takes long."""
    photos = {"a": "cancer 0.95", "b": "slow 3", "c": "healthy 0.91", "d": "slow 3"}
    for name, content in photos.items():
        (tmp_path / f"{name}.jpg").write_text(PHOTO + content)
    return tmp_path


@pytest.mark.parametrize("words", [["--json"], []])
def test_ctrl_c_keeps_what_was_answered_and_leaves_no_traceback(half_slow, start, service, words):
    process = start([half_slow, *words])
    wait_until(lambda: len(service.asked) == 4)
    time.sleep(0.8)  # both answers that come at once have arrived
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = (stream.decode() for stream in process.communicate(timeout=20))
    assert process.returncode == 130
    assert time.monotonic() - began < 2
    answered = [name for name in "abcd" if f"{name}.jpg" in out]
    assert answered == ["a", "c"]
    assert "Traceback" not in err
    assert "2 answered, 0 failed, 2 left out" in err
    wait_until(lambda: service.in_flight == 0)


def test_the_exit_code_tells_all_some_and_nothing(half_slow, start, closed_url):
    def code(*words):
        process = start(words)
        process.communicate(timeout=20)
        return process.returncode

    (half_slow / "bad.jpg").write_text(PHOTO + "bad")
    assert code(half_slow / "a.jpg") == 0
    assert code(half_slow / "a.jpg", half_slow / "bad.jpg") == 1
    assert code(half_slow / "a.jpg", "--url", closed_url) == 2
    assert code(half_slow / "none.jpg") == 2


def test_a_reader_that_leaves_early_causes_no_traceback(tmp_path, start):
    for index in range(50):
        (tmp_path / f"{index:02}.jpg").write_text(PHOTO + "slow 0.02")
    process = start([tmp_path, "--json"])
    assert json.loads(process.stdout.readline())["file"].endswith("00.jpg")
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(timeout=20) == 1
    assert "Traceback" not in err


@pytest.fixture
def on_a_terminal(start, environment):
    """Runs with standard error on a terminal; returns what was drawn there, and the output."""

    def run(words):
        ours, theirs = pty.openpty()
        process = start(words, env=environment | {"TERM": "xterm"}, stderr=theirs)
        os.close(theirs)
        out, _ = process.communicate(timeout=20)
        drawn = b""
        # Linux reports the other side's end as an input/output error.
        try:
            while chunk := os.read(ours, 65536):
                drawn += chunk
        except OSError:
            pass
        os.close(ours)
        return drawn.decode(), out.decode()

    return run


def test_a_bar_is_drawn_on_a_terminal_and_the_lines_still_go_to_standard_output(
    half_slow, on_a_terminal
):
    for name in "bd":
        (half_slow / f"{name}.jpg").write_text(PHOTO + "slow 0.3")
    drawn, out = on_a_terminal([half_slow, "--json"])
    assert "/4" in drawn
    assert [json.loads(line)["file"][-5] for line in out.splitlines()] == list("abcd")


def test_no_bar_is_drawn_for_a_single_photo(half_slow, on_a_terminal):
    drawn, out = on_a_terminal([half_slow / "a.jpg"])
    assert "1/1" not in drawn
    assert "cancer" in out
