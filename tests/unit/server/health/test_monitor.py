"""When a pipeline is asked by a probe, and when its traffic already says that it works."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from pipelines.load import load_spec
from server.health import monitor
from server.health.monitor import HealthMonitor
from server.health.probe import Health, ProbeResult
from server.releases.verified import VerifiedRelease

SPEC = load_spec("oral_cancer")
MODELS = SPEC.answering_models


class Metrics:
    """What Triton says of its inferences; None: it says nothing."""

    def __init__(self):
        self.done = dict.fromkeys(MODELS, 0)
        metrics = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self):
                lines = ["# TYPE nv_inference_count counter"] + [
                    f'nv_inference_count{{model="{model}",version="1"}} {count}'
                    for model, count in metrics.done.items()
                ]
                self.send_response(200)
                self.end_headers()
                self.wfile.write("\n".join([*lines, ""]).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def metrics():
    metrics = Metrics()
    yield metrics
    metrics.server.shutdown()
    metrics.server.server_close()


@pytest.fixture
def probed(monkeypatch):
    asked = []

    def probe(_address, pipeline, _deadline):
        asked.append(pipeline)
        return ProbeResult(Health.ANSWERED, seconds=0.01)

    monkeypatch.setattr(monitor, "probe", probe)
    return asked


@pytest.fixture
def look(metrics, probed, monkeypatch):
    """Looks at the pipeline once more, an interval later; says how many probes there were."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(monitor, "time", SimpleNamespace(monotonic=lambda: clock.now))
    triton = SimpleNamespace(
        pid=1,
        connection=None,
        metrics_address=metrics.server.server_address[:2],
        backend_processes=dict,
    )
    release = VerifiedRelease(
        SimpleNamespace(spec=SPEC, members=SPEC.members), dict.fromkeys(SPEC.models), files=None
    )
    watch = HealthMonitor(triton, lambda: [release])

    def once():
        clock.now += 6
        assert watch.verdicts() == []
        watch._pool.submit(lambda: None).result()
        return len(probed)

    once()
    probed.clear()
    yield once
    watch.close()


def test_an_idle_pipeline_is_probed(look):
    assert [look(), look(), look()] == [1, 2, 3]


def test_a_pipeline_whose_every_model_worked_for_callers_is_not(look, metrics):
    for _ in range(3):
        metrics.done = {model: count + 1 for model, count in metrics.done.items()}
        assert look() == 0


@pytest.mark.parametrize("silent", MODELS)
def test_one_model_that_did_nothing_is_reason_enough(look, metrics, silent):
    metrics.done = {model: count + (model != silent) for model, count in metrics.done.items()}
    assert look() == 1


def test_counters_that_began_anew_prove_nothing(look, metrics):
    metrics.done = dict.fromkeys(MODELS, 50)
    assert look() == 0
    metrics.done = dict.fromkeys(MODELS, 3)
    assert look() == 1


def test_metrics_that_do_not_answer_prove_nothing(look, metrics):
    metrics.server.shutdown()
    metrics.server.server_close()
    assert look() == 1
