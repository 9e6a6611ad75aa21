"""A session from start to end, with a small server as contender and the real load generator."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from lab.bench import session as module
from lab.bench.contender import Contender, Deployment, Launch
from lab.bench.session import RunContext, Session
from lab.errors import ContenderError, LabError
from lab.service.ports import free_ports
from tests.unit.lab.bench import measured

SERVER = Path(__file__).parents[1] / "load" / "http_server.py"


def contender(*argv):
    (port,) = free_ports(1)

    def launch(_):
        words = [word.replace("PORT", str(port)) for word in argv]
        return Launch((sys.executable, *words), {}, port)

    deployment = Deployment(("light",), launch)
    return Contender("small", "Small", "http", (deployment,), lambda _: ("/predict", {}), "")


def session(tmp_path, contender, reference=(0.25, 0.75)):
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(4):
        (photos / f"{index}.jpg").write_bytes(b"photo")
    context = RunContext(
        repository=tmp_path,
        photos={"light": photos},
        plans={"light": tmp_path / "plan.json"},
        references={"light": [list(reference)] * 4},
        classes={"light": ("no", "yes")},
        scratch=tmp_path,
    )
    return Session(context, contender, contender.deployments[0])


def test_a_contender_is_started_compared_measured_and_ended(tmp_path):
    # Other tests' services may be there, too.
    others = set(psutil.Process().children(recursive=True))
    with session(tmp_path, contender(str(SERVER), "PORT", "0.01")) as running:
        assert running.start() > 0
        assert running.compare("light") == 0.0
        limits = (measured.limit(0, images) for images in (100, 200, 300))
        cells = list(running.cells(0, "light", (1, 2), 0.3, partial(next, limits)))
        processes = set(psutil.Process().children(recursive=True)) - others
    assert processes
    assert [cell.concurrency for cell in cells] == [1, 2]
    around = [tuple(limit.images for limit in cell.limits) for cell in cells]
    assert around == [(100, 200), (200, 300)]
    assert all(cell.images > 0 and cell.errors == cell.wrong == 0 for cell in cells)
    assert all((cell.p50_ms or 0) >= 10 for cell in cells)
    assert all(cell.cpu_seconds > 0 and cell.pss_mib > 1 for cell in cells)
    assert not any(process.is_running() for process in processes)


def test_a_patient_generator_sends_what_asks_for_time(tmp_path, monkeypatch):
    sent = []

    class Sender:
        def __init__(self, target, *_):
            sent.append(target.headers)

        def stop(self):
            pass

    monkeypatch.setattr(module, "Generator", Sender)
    asking = replace(contender(str(SERVER), "PORT", "0"), patience={"X-Time": "9"})
    with session(tmp_path, asking) as running:
        running.generator("light")
        running.generator("light", patient=True)
        running.generator("light", patient=True)
    assert sent == [{}, {"X-Time": "9"}]


def test_other_probabilities_end_the_run_before_anything_is_timed(tmp_path):
    with (
        session(tmp_path, contender(str(SERVER), "PORT", "0"), (0.26, 0.74)) as running,
        pytest.raises(LabError, match=r"small, light: its probabilities differ .* by 0.01"),
    ):
        running.start()


def test_a_contender_that_does_not_start_fails_alone_with_its_log_tail(tmp_path):
    with (
        session(tmp_path, contender("-c", "import sys; sys.exit('no such model')")) as running,
        pytest.raises(ContenderError, match=r"(?s)does not start.*no such model"),
    ):
        running.start()
