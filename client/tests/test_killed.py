"""An offline run as a process that is killed again and again."""

import random
import signal
import subprocess
import time

import pytest

from client.tests.processes import COMMAND, wait_until
from client.tests.service import PHOTO
from client.tests.test_offline import read

PHOTOS = 150


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    for index in range(PHOTOS):
        photo = photos / f"{index % 7}" / f"{index:03}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_text(PHOTO + ("bad" if index % 50 == 9 else f"slow 0.0{index % 3} {index}"))
    return photos


def killed(words, start, service, seconds):
    """Kills a run that many seconds after its first question; whether it was not done before."""
    before = len(service.asked)
    process = start(words)
    wait_until(lambda: len(service.asked) > before or process.poll() is not None)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=20)
    assert process.returncode in {-signal.SIGKILL, 1}, err.decode()
    wait_until(lambda: service.in_flight == 0)
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_killed_at_random_moments_each_photo_ends_up_with_one_row(
    folder, start, service, tmp_path, suffix
):
    out = tmp_path / f"results{suffix}"
    words = [folder, "--out", out, "--keep-failed"]
    chance = random.Random(suffix)  # noqa: S311 - the same moments each time
    kills = sum(killed(words, start, service, chance.uniform(0, 0.3)) for _ in range(6))
    assert kills >= 3
    process = start(words)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err.decode()
    rows = read(out)
    assert set(rows) == {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    failed = [name for name, row in rows.items() if not row.get("prediction")]
    assert len(failed) == len(range(9, PHOTOS, 50))
    # Asked again at most: what was on its way at a kill, four photos at a time.
    assert PHOTOS <= len(service.asked) <= PHOTOS + 4 * kills
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "photos",
        out.name,
        f"{out.name}.journal.jsonl",
    ]


def test_ctrl_c_writes_what_was_answered_and_the_next_run_goes_on(folder, start, service, tmp_path):
    out = tmp_path / "results.parquet"
    process = start([folder, "--out", out])
    wait_until(lambda: len(service.asked) > 30)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err.decode()
    assert "run it again to go on" in err.decode()
    first = read(out)
    assert 20 < len(first) < PHOTOS
    process = start([folder, "--out", out, "--keep-failed"])
    assert process.wait(timeout=60) == 1
    process.communicate()
    assert len(read(out)) == PHOTOS
    assert {name: read(out)[name] for name in first} == first


def test_a_second_run_on_the_same_file_is_refused_while_the_first_goes_on(
    folder, start, environment, service, tmp_path
):
    out = tmp_path / "results.csv"
    first = start([folder, "--out", out])
    wait_until(lambda: len(service.asked) > 10)
    second = subprocess.run(
        [*COMMAND, str(folder), "--out", str(out), "--restart"],
        env=environment,
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 2
    assert b"another run is writing it" in second.stderr
    first.communicate(timeout=60)
    assert first.returncode == 1
    assert len(read(out)) == PHOTOS
