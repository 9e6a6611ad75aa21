"""A real Prometheus watches the real service by the shipped rules; alerts fire and resolve.

The rules' durations are a fortieth of the shipped ones (`write_faster`), so that minutes are
seconds; expressions and thresholds are the same.
"""

import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from k8s.checks.exceptions import Exceptions
from k8s.monitoring.expressions import labels, metrics
from k8s.monitoring.prometheus import executable
from tests.integration.gateway import gateway
from tests.integration.service import free_ports
from tests.integration.test_recovery import stubs, triton_process
from tests.monitoring import dashboard, filled, queries, rules, write_faster

FASTER = 40
PREDICT = "/api/v1/predict"
GATEWAY, TRITON, LAUNCHER = (f"second-opinion-{name}" for name in ("gateway", "triton", "launcher"))
# What others count, and Triton of a GPU: each has its reason there.
NOT_SCRAPED = set(Exceptions.read().not_scraped)
PARTS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}


@dataclass(frozen=True)
class Prometheus:
    """A running one, and the file of what it scrapes."""

    client: httpx.Client
    targets: Path

    def scrape(self, **jobs: list[int]) -> None:
        """Scrapes these ports of this machine from now on, by job."""
        found = [
            {"labels": {"job": f"second-opinion-{job}"}, "targets": [f"127.0.0.1:{port}"]}
            for job, ports in jobs.items()
            for port in ports
        ]
        fresh = self.targets.with_suffix(".new")
        fresh.write_text(json.dumps(found), "utf-8")
        fresh.replace(self.targets)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series of an instant query's answer."""
        answer = self.client.get("/api/v1/query", params={"query": query})
        assert answer.status_code == 200, f"{query}: {answer.text}"
        result = answer.json()["data"]["result"]
        # A scalar is a pair.
        return result if isinstance(result, list) else [result]

    def firing(self) -> dict[str, dict[str, str]]:
        """Labels of the alerts that fire, by name."""
        alerts = self.client.get("/api/v1/alerts").json()["data"]["alerts"]
        return {
            alert["labels"]["alertname"]: alert["labels"]
            for alert in alerts
            if alert["state"] == "firing"
        }

    def wait(self, what: Callable[[], bool], seconds: float) -> None:
        give_up = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < give_up, f"after {seconds} s: firing {self.firing()}"
            time.sleep(0.2)

    def wait_firing(self, name: str, seconds: float = 60) -> dict[str, str]:
        self.wait(lambda: name in self.firing(), seconds)
        return self.firing().get(name, {})

    def wait_quiet(self) -> None:
        """Until no alert fires but those on budgets, which look back for longer."""
        self.wait(lambda: not {name for name in self.firing() if "Budget" not in name}, 120)


@pytest.fixture(scope="module")
def prometheus(service, tmp_path_factory) -> Iterator[Prometheus]:
    """Scrapes the service each second."""
    folder = tmp_path_factory.mktemp("prometheus")
    write_faster(folder / "rules", FASTER)
    targets = folder / "targets.json"
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules/*.yaml"],
        "scrape_configs": [
            {
                "job_name": "second-opinion",
                "file_sd_configs": [{"files": [targets.name], "refresh_interval": "1s"}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    (port,) = free_ports(1)
    command = [
        executable("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            running = Prometheus(client, targets)
            watch(running, service)
            running.wait(lambda: ready(process, client), 30)
            # So often that each rule has been looked at as well.
            each = 'count_over_time(up{job=~"second-opinion-.+"}[1m]) >= 5'
            running.wait(lambda: len(running.ask(each)) == 3, 60)
            yield running
    finally:
        process.terminate()
        process.wait(30)


def watch(prometheus, service, *gateways: int) -> None:
    """Scrapes the service, and further gateways."""
    prometheus.scrape(
        gateway=[service.gateway, *gateways],
        triton=[service.triton_metrics],
        launcher=[service.server_metrics],
    )


def ready(process: subprocess.Popen[bytes], client: httpx.Client) -> bool:
    assert process.poll() is None, "Prometheus ended"
    with contextlib.suppress(httpx.HTTPError):
        return client.get("/-/ready").status_code == 200
    return False


@contextlib.contextmanager
def crowd(service, files: list[bytes], callers: int) -> Iterator[None]:
    """Callers who ask without pause, whatever they are told."""
    stop = threading.Event()

    def ask(number: int) -> None:
        with httpx.Client(base_url=service.url, timeout=120) as client:
            while not stop.is_set():
                number = (number + callers) % len(files)
                answer = client.post(PREDICT, files={"file": files[number]})
                stop.wait(0.02 if answer.is_success else 0.2)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(120)


@pytest.fixture
def well(prometheus, service, oral_cancer) -> Iterator[Prometheus]:
    """One caller asks, everything answers, no alert fires."""
    service.wait_ready()
    with crowd(service, oral_cancer.files, 1):
        # What other tests broke before may have to be forgotten first.
        prometheus.wait_quiet()
        yield prometheus


def exposed(service) -> tuple[set[str], set[tuple[str, str]]]:
    """All metrics that the service has, also those with no series yet, and their labels."""
    names: set[str] = set()
    found: set[tuple[str, str]] = set()
    for port in (service.gateway, service.triton_metrics, service.server_metrics):
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
            names |= {f"{name}{part}" for part in PARTS.get(kind, ("",))}
        for name, inner in re.findall(r"^(\w+)\{(.*)\} ", text, re.MULTILINE):
            found |= {(name, label) for label in re.findall(r"(\w+)=\"", inner)}
    return names, found


def test_rules_and_dashboard_ask_only_for_what_the_service_has(service, oral_cancer):
    service.wait_ready()
    photo = oral_cancer.files[0]
    httpx.post(f"{service.url}{PREDICT}", files={"file": photo}, timeout=60)
    httpx.post(f"{service.url}{PREDICT}/batch", files=[("files", photo)] * 2, timeout=60)
    asked = [filled(query) for query in queries(dashboard())]
    asked += [rule.expression for rule in rules()]
    recorded = {rule.name for rule in rules() if not rule.alert}
    names, found = exposed(service)
    missing = {name for query in asked for name in metrics(query)} - recorded - names
    assert missing <= NOT_SCRAPED
    # Prometheus gives `job` and `namespace`; refusals and restarts have no series before the first,
    # and the releases of this service have no reference to judge an image by.
    selected = {pair for query in asked for pair in labels(query) if pair[1] != "namespace"}
    unborn = {
        "gateway_requests_refused_total",
        "prediction_typicality_total",
        "server_stub_restarts_total",
    }
    for name, label in selected - found:
        assert name in recorded | missing | unborn, f"{name} has no label {label}"


def test_while_all_is_well_targets_are_up_and_no_alert_fires(well):
    up = {each["metric"]["job"]: each["value"][1] for each in well.ask("up")}
    assert up == {GATEWAY: "1", TRITON: "1", LAUNCHER: "1"}
    # Longer than any alert waits before it fires.
    until = time.monotonic() + 15
    while time.monotonic() < until:
        assert not well.firing()
        time.sleep(0.5)
    (failing,) = well.ask('pipeline:gateway_failures:ratio5m{pipeline="oral_cancer"}')
    assert float(failing["value"][1]) == 0
    (waiting,) = well.ask('model:nv_inference_queue_seconds:mean5m{model="oral_cancer_vgg16"}')
    assert float(waiting["value"][1]) < 1
    (cost,) = well.ask("namespace:cost_per_thousand_predictions:ratio1h")
    assert float(cost["value"][1]) > 0


def test_a_killed_backend_process_is_told_and_forgotten(well, service):
    stubs(service, "oral_cancer_regnet")[0].kill()
    assert well.wait_firing("SecondOpinionStubDead")["model"] == "oral_cancer_regnet"
    well.wait_quiet()


def test_a_killed_tritonserver_is_told_with_the_errors_it_caused(well, service, oral_cancer):
    # More than one caller, so that more than a handful of requests fail.
    with crowd(service, oral_cancer.files, 4):
        triton_process(service).kill()
        assert well.wait_firing("SecondOpinionErrors")["severity"] == "critical"
        well.wait_firing("SecondOpinionServerRestarts")
    well.wait_quiet()


def test_a_gateway_that_is_gone_is_told_until_it_is_no_target_any_more(well, service):
    with gateway(service.triton_grpc) as client:
        port = client.base_url.port
        watch(well, service, port)
        well.wait(lambda: len(well.ask(f'up{{job="{GATEWAY}"}} == 1')) == 2, 30)
    assert well.wait_firing("SecondOpinionReplicasMissing")["job"] == GATEWAY
    # The other one answers.
    assert "SecondOpinionTargetDown" not in well.firing()
    watch(well, service)
    well.wait_quiet()


def test_a_queue_that_grows_is_told_and_so_is_what_it_does_to_the_objective(
    well, service, oral_cancer
):
    with crowd(service, oral_cancer.files, 48):
        well.wait_firing("SecondOpinionQueueGrowth", 90)
        assert well.wait_firing("SecondOpinionLatencyBudgetBurn", 90)["pipeline"] == "oral_cancer"
    # Those on the objective look back for longer; promtool's tests see them resolve.
    well.wait(lambda: "SecondOpinionQueueGrowth" not in well.firing(), 90)


def test_each_query_of_the_dashboard_is_answered(prometheus, service, oral_cancer):
    shown = queries(dashboard())
    # What needs a GPU or a cluster, what is recorded of it, and what comes with the first refusal.
    others = NOT_SCRAPED - {"up"}
    recorded = {
        rule.name for rule in rules() if not rule.alert and metrics(rule.expression) & others
    }
    absent = others | recorded | {"gateway_requests_refused_total"}

    def unanswered() -> set[str]:
        asked = {query: filled(query, rate_interval="60s") for query in shown}
        return {
            query
            for query in shown
            if not metrics(query) <= absent and not prometheus.ask(asked[query])
        }

    with crowd(service, oral_cancer.files, 1), contextlib.suppress(AssertionError):
        prometheus.wait(lambda: not unanswered(), 60)
    assert unanswered() == set()
