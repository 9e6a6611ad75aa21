"""Every metric that is asked for must be in a scrape; every probe must be there, and no metric."""

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest, start_http_server

from gateway.telemetry.metrics import Metrics
from k8s.checks import metrics, probes, rendering
from k8s.checks.queries import dashboard_queries, rule_queries, scaler_queries
from k8s.checks.scrape import Running, series
from k8s.checks.tree import Tree
from k8s.monitoring import expressions
from tests.integration.service import free_ports


@pytest.fixture(scope="module")
def scraped(as_they_are):
    """The gateway's own, and what is asked of Triton and the launcher, where no Triton runs."""
    tree = Tree()
    asked = [
        *rule_queries(as_they_are),
        *dashboard_queries(tree),
        *scaler_queries(tree, as_they_are),
    ]
    names = {name for query in asked for name in expressions.metrics(query.expression)}
    others = {name for name in names if name.startswith(("nv_inference", "nv_cpu", "server_"))}
    return others | series(generate_latest(Metrics().registry).decode())


def test_a_scrape_has_the_series_of_histograms_and_counters_without_a_value():
    found = series(generate_latest(Metrics().registry).decode())
    assert {"gateway_request_seconds_bucket", "gateway_requests_refused_total"} <= found


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("k8s/components/keda/scaled-object.yaml", "requests_in_flight", "requests_flying"),
        ("k8s/components/hpa/prometheus-adapter.yaml", "queue_duration_us", "queue_us"),
        ("k8s/components/hpa/prometheus-adapter.yaml", "'gateway_image_bytes_count", "'gateway_x"),
        ("k8s/monitoring/dashboards/second-opinion.json", "(gateway_requests_total{", "(reqs{"),
        ("k8s/monitoring/dashboards/second-opinion.json", "gateway_stage_seconds_", "stages_"),
        ("k8s/monitoring/rules/recording.yaml", "gateway_requests_total", "gateway_reqs"),
    ],
)
def test_a_metric_that_nothing_counts_is_found(
    file, old, new, *, part, plant, as_they_are, scraped, exceptions
):
    before = set(metrics.problems(Tree(), as_they_are, scraped, exceptions))
    plant(file, old, new)
    tree = part("hpa", "keda-to-zero", "monitoring")
    after = set(metrics.problems(tree, rendering.render(tree), scraped, exceptions))
    told = after - before
    assert any("nothing counts" in problem for problem in told), told


def test_an_excused_metric_that_is_scraped_after_all_is_found(as_they_are, scraped, exceptions):
    problems = metrics.problems(Tree(), as_they_are, scraped | {"up"}, exceptions)
    assert any("not_scraped: up excuses nothing" in problem for problem in problems)


def test_a_path_that_answers_with_metrics_is_no_probe(as_they_are):
    gateway, launcher, triton = free_ports(3)
    registry = CollectorRegistry()
    Counter("some", "Answers at every path.", registry=registry)
    servers = [start_http_server(port, registry=registry) for port in (gateway, launcher)]
    service = Running(
        {"gateway_port": gateway, "server_metrics_port": launcher, "triton_metrics_port": triton}
    )
    try:
        problems = list(probes.problems(as_they_are, service))
    finally:
        for server, thread in servers:
            server.shutdown()
            server.server_close()
            thread.join()
    assert "triton: GET /readyz on server-metrics answers with metrics: there is no such probe" in (
        problems
    )


def test_a_container_without_a_probe_is_found(as_they_are):
    gateway, *_ = free_ports(1)
    registry = CollectorRegistry()
    server, thread = start_http_server(gateway, registry=registry)
    service = Running({"gateway_port": gateway, "server_metrics_port": gateway})
    (overlay,) = [each for each in as_they_are.overlays if each.name == "cpu"]
    deployment = overlay.find("Deployment", "gateway")
    probe = deployment["spec"]["template"]["spec"]["containers"][0].pop("livenessProbe")
    try:
        problems = list(probes.problems(as_they_are, service))
    finally:
        deployment["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] = probe
        server.shutdown()
        server.server_close()
        thread.join()
    told = "cpu: gateway: livenessProbe: it asks nothing over HTTP; let it ask one of http"
    assert told in problems
