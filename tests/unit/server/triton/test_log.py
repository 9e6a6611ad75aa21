"""Triton's log stays bounded while processes write to it, and its end is quoted."""

import subprocess
import sys
import time

import pytest

from server.triton import log as triton_log
from server.triton.log import TritonLog

MOST = 64 * 1024


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setattr(triton_log, "MOST_BYTES", MOST)
    return TritonLog(tmp_path / "triton.log")


def files(log):
    return sorted(path.name for path in log.path.parent.iterdir())


def test_a_process_that_never_stops_writing_fills_no_disk(log):
    """It holds the file open and appends, as Triton and its backend processes do."""
    endless = "i = 0\nwhile True:\n    print('line', i := i + 1, flush=True)"
    log.begin()
    with log.path.open("ab") as file:
        process = subprocess.Popen([sys.executable, "-c", endless], stdout=file)
    largest = anew = 0
    try:
        give_up = time.monotonic() + 60
        while anew < 4 and time.monotonic() < give_up:
            size = log.path.stat().st_size
            largest = max(largest, size)
            log.bound()
            anew += size > MOST
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert anew == 4
    assert files(log) == ["triton.log", "triton.log.1"]
    assert largest < 20 * MOST
    # Not a file with a hole of zeros, as one that is written at an offset would be.
    assert b"\0" not in log.path.read_bytes()
    last = int(log.since_start().splitlines()[-2].split()[1])
    assert log.tail().splitlines()[-2].split() == ["line", str(last)]


def test_the_tail_is_of_this_start_alone(log):
    log.path.write_text("of a start before\n")
    log.begin()
    assert log.tail() == f"; the end of {log.path}:"
    with log.path.open("a") as file:
        file.write("one\ntwo\n")
    assert log.tail().splitlines() == [f"; the end of {log.path}:", "  one", "  two"]
    assert log.since_start() == "one\ntwo\n"


def test_the_tail_goes_back_to_the_part_before(log):
    log.path.write_text("of a start before\n")
    log.begin()
    with log.path.open("a") as file:
        file.write("boost::interprocess::lock_exception\n")
        file.write("x" * MOST + "\n")
        file.write("the last line before it was cut\n")
    log.bound()
    assert log.path.read_text() == ""
    assert "the last line before it was cut" in log.tail()
    assert log.since_start().startswith("boost::interprocess::lock_exception")
    with log.path.open("a") as file:
        file.write("after\n")
    assert log.tail().splitlines()[-2:] == ["  the last line before it was cut", "  after"]
    log.begin()
    assert log.since_start() == ""


def test_without_space_for_a_copy_the_log_is_cut_all_the_same(log, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(triton_log.shutil, "copyfile", full)
    log.path.write_text("x" * 2 * MOST)
    log.bound()
    assert log.path.read_text() == ""
    assert log.since_start() == ""


def test_a_small_log_is_left_alone(log):
    log.bound()
    assert files(log) == []
    log.path.write_text("x" * MOST)
    log.bound()
    assert files(log) == ["triton.log"]


def test_the_tail_of_a_load_has_what_went_wrong_in_it_alone(log):
    log.begin()
    log.path.write_text("before\n")
    written = log.written()
    with log.path.open("a") as file:
        file.write("I1130 06:25:44.1 1 x.cc:1] loading\nlibcudnn.so.9: cannot open\n")
        file.write("E1130 06:25:44.2 1 x.cc:2] not healthy\n" + "long " * 100)
    quoted = log.tail(written).splitlines()
    assert quoted[1:3] == [
        "  libcudnn.so.9: cannot open",
        "  E1130 06:25:44.2 1 x.cc:2] not healthy",
    ]
    assert len(quoted[3]) < 400
