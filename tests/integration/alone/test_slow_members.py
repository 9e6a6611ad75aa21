"""A member that takes 20 s for a batch is slow and not dead; one that hangs is replaced."""

import threading
import time
from pathlib import Path

import httpx
import pytest

from lab.autoscaling import pipeline
from lab.service.scratch import Scratch
from tests.integration.service import ROOT, running

SECONDS = 20
CALLERS = 4
MODEL = '''
"""A member that rests as long as a file says, or once for ever: it uses no CPU time."""

import os
import shutil
import time
from pathlib import Path

from lab.autoscaling.delay.model import TritonPythonModel as Delay


class TritonPythonModel(Delay):
    def initialize(self, args):
        super().initialize(args)
        # Triton compiles a module that lies in a version's folder, where no release names more.
        shutil.rmtree(Path(__file__).parent / "__pycache__", ignore_errors=True)

    def execute(self, requests):
        seconds = Path(os.environ["SECONDS_A_BATCH"])
        if (asked := seconds.read_text()) == "for ever":
            seconds.write_text("0")
            time.sleep(10_000)
        time.sleep(float(asked))
        return super().execute(requests)
'''


@pytest.fixture(scope="module")
def seconds(tmp_path_factory) -> Path:
    """Holds what a batch takes."""
    return tmp_path_factory.mktemp("slow") / "seconds"


@pytest.fixture(scope="module")
def slow(seconds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow_service")
    model = folder / "model.py"
    model.write_text(MODEL)
    place = Scratch(folder / "place")
    seconds.write_text("0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_MODEL", model)
        pipeline.make(place, 0)
    arguments = ("--pipelines", pipeline.PIPELINE, "--specs", str(place.specs))
    settings = {"SECONDS_A_BATCH": str(seconds), "GATEWAY_DEFAULT_PIPELINE": pipeline.PIPELINE}
    with running(place.repository, folder, *arguments, **settings) as service:
        yield service


def ask(service, timeout: float) -> httpx.Response:
    photo = (ROOT / "samples" / "snake.jpg").read_bytes()
    return httpx.post(f"{service.url}/api/v1/predict", files={"file": photo}, timeout=timeout)


def replaced(service) -> dict[str, float]:
    """Counts of backend processes and tritonservers that the launcher replaced."""
    found = service.metrics(service.server_metrics)
    return {name: count for name, count in found.items() if "restarts_total" in name and count}


def test_a_member_that_hangs_is_replaced(slow, seconds):
    seconds.write_text("0")
    assert ask(slow, 60).status_code == 200
    seconds.write_text("for ever")
    # A probe may be what hangs; then this one is answered by the process that takes over.
    assert ask(slow, 120).status_code in {200, 503, 504}
    assert seconds.read_text() == "0"
    give_up = time.monotonic() + 60
    while (answer := ask(slow, 60)).status_code != 200:
        assert answer.status_code in {503, 504}, answer.text
        assert time.monotonic() < give_up, slow.tail()
        time.sleep(1)
    member = f"{pipeline.PIPELINE}_{pipeline.MEMBER}"
    counts = replaced(slow)
    assert counts.pop(f'server_stub_restarts_total{{model="{member}"}}') == 1, slow.tail()
    assert "server_restarts_total" not in counts, slow.tail()


def test_nobody_is_replaced_while_members_take_their_time(slow, seconds):
    before = replaced(slow)
    seconds.write_text(str(SECONDS))
    answers: list[int] = []
    callers = [
        threading.Thread(target=lambda: answers.append(ask(slow, 120).status_code))
        for _ in range(CALLERS)
    ]
    for caller in callers:
        caller.start()
        # The first batch has one photo, and the others wait for the second.
        time.sleep(1)
    for caller in callers:
        caller.join()
    assert answers == [200] * CALLERS, slow.tail()
    assert replaced(slow) == before, slow.tail()


def test_a_pipeline_whose_first_pass_takes_seven_seconds_is_served(tmp_path):
    place = Scratch(tmp_path / "place")
    pipeline.make(place, 7_000)
    arguments = ("--pipelines", pipeline.PIPELINE, "--specs", str(place.specs))
    with running(place.repository, tmp_path, *arguments, wait=False) as service:
        give_up = time.monotonic() + 180
        while "Second Opinion is serving" not in service.tail():
            assert "NOT SERVED" not in service.tail(), service.tail()
            assert time.monotonic() < give_up, service.tail()
            time.sleep(0.2)
