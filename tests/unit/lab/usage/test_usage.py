"""The check of compute time fails where it must, and the sums of rows that are timed are right."""

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from lab.usage import __main__ as command
from lab.usage import compute, rows
from lab.usage.compute import Comparison


def compared(stated, *, images=100, busy=10.5, at_rest=0.5):
    return Comparison(
        images=images,
        failed=0,
        seconds=60.0,
        stated=stated,
        busy=busy,
        by_role={"decode": busy},
        at_rest=at_rest,
        probes=0,
        probing=0.0,
        others={"gateway": 1.0, "tritonserver": 2.0},
    )


@pytest.mark.parametrize(
    ("stated", "agrees"), [(10.0, True), (9.6, True), (10.4, True), (9.4, False), (10.6, False)]
)
def test_compute_time_may_differ_by_a_twentieth_from_what_the_kernel_counts(stated, agrees):
    assert compared(stated).agrees is agrees


def test_a_load_without_an_answer_agrees_with_nothing():
    assert not compared(10.0, images=0).agrees


class Service:
    """Counts as a service's kernel would: two processes that rest, then work."""

    ports = SimpleNamespace(gateway_grpc_port=1)
    url = "http://127.0.0.1:1"

    def __init__(self, *readings):
        self._readings = iter(readings)

    def cpu_seconds(self):
        return next(self._readings)


def test_what_is_counted_is_what_backend_processes_took_under_the_load(monkeypatch):
    clock = iter([0.0, 98.0, 100.0, 100.0, 110.0, 200.0, 201.0, 260.0])
    # Not of the module `time` itself: threads of other tests may read it.
    stopped = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    monkeypatch.setattr(compute, "time", stopped)
    monkeypatch.setattr(compute, "_REST_WINDOWS", 2)
    counts = iter([10, 11, 11, 11, 11, 11 + 14 + 1])
    monkeypatch.setattr(compute._Counter, "_images", lambda _: {"oral_cancer": next(counts)})

    def ask(self, _until, number=0):
        self.tally.add("oral_cancer", 7, 3.0 + number)

    monkeypatch.setattr(compute._Load, "ask", ask)
    rest = {"gateway": 1.1, "tritonserver": 1.1, "decode": 2.0, "vgg16": 4.0, "launcher": 9.0}
    service = Service(
        {"gateway": 1.0, "tritonserver": 1.0, "decode": 1.0, "vgg16": 1.0, "launcher": 1.0},
        rest,  # a probe was in that window
        rest,
        rest | {"decode": 2.1, "vgg16": 4.1},
        rest | {"decode": 2.1, "vgg16": 4.1},
        {"gateway": 5.1, "tritonserver": 3.1, "decode": 4.1, "vgg16": 10.3, "launcher": 9.0},
    )
    found = compute.compare(service, ["oral_cancer"], [b"photo"], 60, 2)
    assert found.by_role == pytest.approx({"decode": 2.0, "vgg16": 6.2})
    assert found.others == pytest.approx({"gateway": 4.0, "tritonserver": 2.0})
    assert (found.images, found.stated, found.probes) == (14, 7.0, 1)
    assert found.at_rest == pytest.approx(0.02 * 60)
    assert found.probing == pytest.approx(0.5)
    assert found.ratio == pytest.approx(7.0 / (8.2 - 1.2 - 0.5))


def test_rows_are_summed_up_and_their_sums_are_right(tmp_path):
    found = rows.measure(tmp_path / "rows.db", 3000, 5)
    assert found.differences == 0
    assert 0 < found.hours <= 3000
    assert set(found.questions) >= {"by nothing", "by caller", "by caller,hour"}


def test_a_question_that_takes_too_long_fails(monkeypatch):
    slow = rows.Measured(1.0, 1.0, 10, {"by caller": (9.0, 1.5)}, 1.0, 0)
    monkeypatch.setattr(command.million, "measure", lambda *_: slow)
    assert CliRunner().invoke(command.app, ["rows"]).exit_code == 1
    assert CliRunner().invoke(command.app, ["rows", "--seconds", "2"]).exit_code == 0


def test_without_photos_the_check_says_so(tmp_path):
    found = CliRunner().invoke(command.app, ["compute", "--photos", str(tmp_path)])
    assert found.exit_code == 2
    assert "has no *.jpg" in found.stderr
