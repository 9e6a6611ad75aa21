"""Costly images are decoded in a child that may be killed; all others here."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from inference.decode import decode
from inference.drawing import photograph
from inference.errors import RefusedError
from inference.rules import DecodeRules
from pipelines.decoding_limits import DecodingLimits
from pipelines.load import load_spec
from pipelines.protocol import Refusal
from server.backends import decoding
from server.backends.decoder_process import DecoderProcess
from server.backends.decoding import Decoder, Turns
from tests import attack_images, photos

# The tests write HEIC.
register_heif_opener()

ROOT = Path(__file__).parents[3]
RULES = DecodeRules.from_spec(load_spec("oral_cancer").model_dump(mode="json"))
PHOTO = photos.encoded(photos.photo(1))
ATTACK = (attack_images.ATTACKS / "prog_7000_5000.jpg").read_bytes()
WAIT = 60
"""Seconds for what is on its way."""
ORPHAN = """
import sys, time
from inference.decode import decode
from inference.rules import DecodeRules
from pipelines.decoding_limits import DecodingLimits
from pipelines.load import load_spec
from server.backends.decoder_process import DecoderProcess
rules = DecodeRules.from_spec(load_spec("oral_cancer").model_dump(mode="json"))
process = DecoderProcess(DecodingLimits())
process.run(decode, open(sys.argv[1], "rb").read(), rules)
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def child():
    process = DecoderProcess(DecodingLimits())
    yield process
    process.close()


@pytest.fixture
def impatient():
    """A child that may take a second of CPU time."""
    process = DecoderProcess(DecodingLimits(cpu_seconds=1))
    yield process
    process.close()


def burn(seconds: float) -> float:
    """Takes CPU time; how much the process has taken so far."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return end


def wait(_: bytes) -> None:
    time.sleep(WAIT)


def crash(_: bytes) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def take(count: int) -> int:
    try:
        return len(bytes(count))
    except MemoryError:
        return 0


def until(condition) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def refused(process: DecoderProcess, function, *args) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        process.run(function, *args)
    return caught.value


@pytest.mark.parametrize(
    "data",
    photos.album(12) + [photos.encoded(photos.photo(5), each) for each in ("GIF", "AVIF", "HEIF")],
    ids=lambda data: f"{data[:12]!r}",
)  # fmt: skip
@pytest.mark.parametrize("pipeline", ["oral_cancer", "cervical_lesions"])
def test_a_child_gives_the_same_bits(child, pipeline, data):
    rules = DecodeRules.from_spec(load_spec(pipeline).model_dump(mode="json"))
    here, (there, _) = decode(data, rules), child.run(decode, data, rules)
    np.testing.assert_array_equal(here.pixels, there.pixels)
    np.testing.assert_array_equal(here.measures, there.measures)
    assert here.geometry == there.geometry


def test_a_refusal_of_the_child_is_the_same(child):
    error = refused(child, decode, PHOTO[:3000], RULES)
    assert error.code is Refusal.IMAGE_UNDECODABLE
    assert "data end too early" in error.text


def test_an_image_that_takes_too_much_cpu_time_is_refused_and_the_next_is_decoded(impatient):
    endless = replace(RULES, limits=DecodingLimits(scans=10**6))
    error = refused(impatient, decode, ATTACK, endless)
    assert error.code is Refusal.IMAGE_TOO_COSTLY
    assert "more than 1 s of CPU time" in error.text
    assert impatient.run(decode, PHOTO, RULES)[0].pixels.shape == (224, 224, 3)


def test_time_is_counted_for_each_image(impatient):
    spent = [impatient.run(burn, 0.4)[0] for _ in range(6)]
    assert spent[-1] > 2


def test_memory_beyond_the_limit_is_not_to_be_had():
    process = DecoderProcess(DecodingLimits(decoded_bytes=2**28))
    assert process.run(take, 2**27)[0] == 2**27
    assert process.run(take, 2**30)[0] == 0
    process.close()


def test_a_decoder_that_crashes_refuses_its_image_alone(child):
    assert refused(child, crash, PHOTO).code is Refusal.IMAGE_UNDECODABLE
    assert child.run(decode, PHOTO, RULES)[0].pixels.shape == (224, 224, 3)


def test_an_image_whose_child_is_killed_is_decoded_by_another(child):
    child.run(decode, PHOTO, RULES)
    first = child.pid
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(child.run, decode, PHOTO, RULES)
        os.kill(first, signal.SIGKILL)
        assert answer.result(WAIT)[0].pixels.shape == (224, 224, 3)
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: gone(child.pid))
    assert child.run(decode, PHOTO, RULES)[0].pixels.shape == (224, 224, 3)
    assert child.pid != first


def test_an_image_whose_child_is_killed_twice_is_refused():
    process = DecoderProcess(DecodingLimits())
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(process.run, wait, PHOTO)
        killed = set()
        while len(killed) < 2 and not answer.done():
            pid = process.pid
            if pid not in {None, *killed}:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.02)
        with pytest.raises(RefusedError) as caught:
            answer.result(WAIT)
    assert caught.value.code is Refusal.IMAGE_TOO_COSTLY
    assert all(map(gone, killed))


def test_a_stopped_child_is_replaced():
    process = DecoderProcess(DecodingLimits(cpu_seconds=1))
    process.run(decode, PHOTO, RULES)
    stopped = process.pid
    os.kill(stopped, signal.SIGSTOP)
    until(lambda: psutil.Process(stopped).status() == psutil.STATUS_STOPPED)
    # More than the socket holds.
    data = PHOTO + bytes(5_000_000)
    assert process.run(decode, data, RULES)[0].pixels.shape == (224, 224, 3)
    assert gone(stopped)
    process.close()


def test_no_child_is_left_when_it_is_closed_or_its_parent_killed(tmp_path):
    process = DecoderProcess(DecodingLimits())
    process.run(decode, PHOTO, RULES)
    pid = process.pid
    process.close()
    assert gone(pid)
    (tmp_path / "photo").write_bytes(PHOTO)
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path / "photo")], cwd=ROOT, stdout=subprocess.PIPE
    ) as parent:
        child = int(parent.stdout.readline())
        os.kill(child, signal.SIGSTOP)
        parent.kill()
    until(lambda: gone(child))


def test_an_ordinary_photo_starts_no_child():
    decoder = Decoder(RULES)
    for data in [*photos.album(8), photos.encoded(Image.new("RGB", (4000, 3000)))]:
        assert not decoder.costly([data])
        decoder(data)
    assert decoder._process.pid is None
    decoder.close()


def test_a_picture_of_a_costly_photo_is_the_same(monkeypatch):
    decoder = Decoder(RULES)
    here, _ = decoder.read(photograph, PHOTO)
    assert decoder._process.pid is None
    monkeypatch.setattr(decoding, "_SECONDS_HERE", 0)
    there, _ = decoder.read(photograph, PHOTO)
    assert decoder._process.pid is not None
    assert here.size == there.size
    assert here.picture.tobytes() == there.picture.tobytes()
    decoder.close()


@pytest.mark.parametrize("name", ["prog_7000_5000.jpg", "webp_rgba.webp"])
def test_an_attack_is_ended_in_the_child_or_refused_by_its_header(name):
    data = (attack_images.ATTACKS / name).read_bytes()
    decoder = Decoder(replace(RULES, limits=DecodingLimits(cpu_seconds=1)))
    before = psutil.Process().memory_info().rss
    with pytest.raises(RefusedError) as caught:
        decoder(data)
    assert caught.value.code in {Refusal.IMAGE_TOO_COSTLY, Refusal.IMAGE_UNDECODABLE}
    assert psutil.Process().memory_info().rss - before < 2**26
    decoder.close()


def test_costly_images_wait_for_each_other_and_no_other_for_them():
    decoder = Decoder(RULES)
    started, order, end = threading.Event(), [], threading.Event()

    def slow(name: str, late: bool) -> None:
        started.set()
        end.wait(WAIT)
        order.append(name)
        assert not late

    decoder.later(partial(slow, "first"))
    decoder.later(partial(slow, "second"))
    started.wait(WAIT)
    decoder(PHOTO)
    order.append("small")
    end.set()
    decoder.close()
    assert order == ["small", "first", "second"]


def test_a_costly_image_among_refused_ones_is_found():
    decoder = Decoder(RULES)
    webp = (attack_images.ATTACKS / "webp_rgba.webp").read_bytes()
    assert decoder.costly([b"", b"notes", webp])
    assert not decoder.costly([b"", b"notes", PHOTO])


def test_memory_is_given_back_after_a_large_image(monkeypatch):
    monkeypatch.setattr(decoding, "_SECONDS_HERE", 100)
    decoder, process = Decoder(RULES), psutil.Process()
    decoder(PHOTO)
    before = process.memory_info().rss
    for seed in range(2):
        decoder(photos.encoded(Image.new("RGB", (6000, 4000), (seed, 9, 9))))
    assert process.memory_info().rss - before < 2**25
    assert decoder._process.pid is None


def test_turns_keep_what_is_in_flight_within_the_limit():
    turns, inside, most = Turns(10), [], []
    lock = threading.Lock()

    def work(count: int) -> None:
        with turns.take(count):
            with lock:
                inside.append(count)
                most.append(tuple(inside))
            time.sleep(0.001)
            with lock:
                inside.remove(count)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [3, 4, 5, 12, 1, 9, 2, 6] * 5))
    assert any(len(together) > 1 for together in most)
    assert all(sum(together) <= 10 or together == (12,) for together in most)
