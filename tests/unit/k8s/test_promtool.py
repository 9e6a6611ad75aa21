"""Prometheus's own tool judges rules, their tests and the autoscalers' queries."""

import pytest
import yaml

from k8s.checks import promtool, rendering
from k8s.checks.queries import Query, analysis_queries, scaler_queries
from k8s.checks.tree import Tree
from k8s.monitoring import expressions
from k8s.monitoring import promtool as judge

KEDA = "k8s/components/keda/scaled-object.yaml"
ADAPTER = "k8s/components/hpa/prometheus-adapter.yaml"
ANALYSIS = "k8s/components/canary/analysis.yaml"
RULE = """
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: one
spec:
  groups:
    - name: one
      rules:
        - record: requests:rate1m
          expr: rate(gateway_requests_total[1m])
"""
TEST = """
rule_files: [../rules/one.yaml]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series: [{series: gateway_requests_total, values: 0+15x8}]
    promql_expr_test:
      - expr: requests:rate1m
        eval_time: 2m
        exp_samples: [{labels: "requests:rate1m", value: 1}]
"""


@pytest.fixture
def small(tree, part):
    """One rule with one test, and the overlays that scale: promtool is done with them at once."""
    for folder in ("rules", "tests"):
        for file in (tree.k8s / "monitoring" / folder).glob("*.yaml"):
            file.unlink()
    (tree.k8s / "monitoring" / "rules" / "one.yaml").write_text(RULE, "utf-8")
    (tree.k8s / "monitoring" / "tests" / "one.yaml").write_text(TEST, "utf-8")
    return part("keda-to-zero", "canary")


def told(tree):
    return list(promtool.problems(tree, rendering.render(tree)))


def test_a_rule_whose_test_holds_passes(small):
    assert told(small) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("k8s/monitoring/rules/one.yaml", "[1m])", "[1m]", "monitoring/rules: promtool"),
        ("k8s/monitoring/rules/one.yaml", "rate(", "increase(", "monitoring/tests: promtool"),
        ("k8s/monitoring/tests/one.yaml", "value: 1}", "value: 2}", "monitoring/tests: promtool"),
        (KEDA, "or vector(0)", "or vector(0", "the autoscalers' and canaries' queries: promtool"),
        (ADAPTER, "sum(rate(", "sum(rat(", "the autoscalers' and canaries' queries: promtool"),
        (ANALYSIS, "- min by (", "- min of (", "the autoscalers' and canaries' queries: promtool"),
    ],
)
def test_a_planted_error_is_found(file, old, new, expected, *, small, plant):
    plant(file, old, new)
    problems = told(small)
    assert any(expected in problem for problem in problems), problems


@pytest.mark.parametrize("folder", ["rules", "tests"])
def test_a_folder_that_lost_its_files_is_found(folder, small):
    (small.k8s / "monitoring" / folder / "one.yaml").unlink()
    problems = told(small)
    assert any(f"monitoring/{folder}: there are no {folder}" in each for each in problems), problems


MONITORING = Tree().k8s / "monitoring"


def rules_in(file, names=None):
    """The rules of a file, or of some of its groups: what each rests on, by its name."""
    groups = yaml.safe_load(file.read_text("utf-8"))["spec"]["groups"]
    rules = [
        rule
        for group in groups
        if names is None or group["name"] in names
        for rule in group["rules"]
    ]
    return {
        rule.get("alert") or rule["record"]: expressions.metrics(str(rule["expr"]))
        for rule in rules
    }


@pytest.mark.parametrize(
    "test", sorted((MONITORING / "tests").glob("*.yaml")), ids=lambda f: f.stem
)
def test_a_test_of_rules_loads_all_that_its_alerts_rest_on(test):
    """An alert whose rule is not loaded is silent, as is one of which a series is not recorded."""
    document = yaml.safe_load(test.read_text("utf-8"))
    everything = {}
    for file in (MONITORING / "rules").glob("*.yaml"):
        everything |= rules_in(file)
    loaded = {}
    for name in document["rule_files"]:
        loaded |= rules_in(test.parent / name, document.get("group_eval_order"))
    wanted = {
        each["alertname"] for one in document["tests"] for each in one.get("alert_rule_test", [])
    }
    wanted |= {
        name
        for one in document["tests"]
        for each in one.get("promql_expr_test", [])
        for name in expressions.metrics(each["expr"])
    }
    known = set()
    while more := (wanted & everything.keys()) - known:
        known |= more
        wanted |= set().union(*(everything[name] for name in more))
    assert known <= loaded.keys()
    assert {name for name in wanted if name.startswith("SecondOpinion")} <= known


@pytest.fixture(scope="module")
def queries(as_they_are):
    found: list[Query] = list(scaler_queries(Tree(), as_they_are))
    return {query.where.rpartition("trigger ")[2]: query.expression for query in found}


def verdict(tmp_path, series, expression, expected):
    """What promtool says of an expression after 5 minutes of series sampled every 15 s."""
    samples = [] if expected is None else [{"labels": "{}", "value": expected}]
    document = {
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [
                    {"series": name.replace("}", ',namespace="second-opinion"}'), "values": values}
                    for name, values in series.items()
                ],
                "promql_expr_test": [
                    {"expr": expression, "eval_time": "5m", "exp_samples": samples}
                ],
            }
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(document), "utf-8")
    try:
        judge.run("test", "rules", str(file))
    except judge.RulesError as error:
        return [str(error)]
    return []


IDLE = {'gateway_image_bytes_count{pod="a"}': "0+0x20"}
BUSY = IDLE | {
    'gateway_requests_in_flight{pod="a",pipeline="x"}': "30+0x20",
    'gateway_requests_in_flight{pod="b",pipeline="x"}': "10+0x20",
    # 8 answers a second that took 5 s each: 40 in flight, as Little's law has it.
    'gateway_request_seconds_sum{pod="a",pipeline="x"}': "0+600x20",
    'gateway_request_seconds_count{pod="a",pipeline="x"}': "0+120x20",
}
# 16 more a second are refused: three times what is answered, so three times the replicas.
SHEDDING = BUSY | {
    'gateway_request_seconds_count{pod="a",pipeline="x"}': "0+360x20",
    'gateway_requests_total{pod="a",pipeline="x",outcome="busy"}': "0+240x20",
    'gateway_requests_total{pod="a",pipeline="x",outcome="ok"}': "0+120x20",
}
ALL_REFUSED = IDLE | {
    'gateway_requests_in_flight{pod="a",pipeline="x"}': "128+0x20",
    'gateway_request_seconds_sum{pod="a",pipeline="x"}': "0+1x20",
    'gateway_request_seconds_count{pod="a",pipeline="x"}': "0+240x20",
    'gateway_requests_total{pod="a",pipeline="x",outcome="busy"}': "0+240x20",
}


@pytest.mark.parametrize(
    ("series", "demand"),
    [
        ({'up{pod="a"}': "0+0x20"}, None),
        (IDLE, 0),
        (BUSY, 40),
        (SHEDDING, 120),
        (ALL_REFUSED, 128),
    ],
    ids=["no gateway is scraped", "idle", "busy", "three times overload", "nothing is answered"],
)
def test_demand_grows_on_while_requests_are_refused(series, demand, queries, tmp_path):
    assert verdict(tmp_path, series, queries["demand"], demand) == []


@pytest.mark.parametrize(
    ("series", "seconds"),
    [
        (IDLE, 0),
        (
            {
                # Of two replicas: 45 s of waiting in 60 requests.
                'nv_inference_queue_duration_us{pod="a",model="x_vgg16"}': "0+30000000x20",
                'nv_inference_queue_duration_us{pod="b",model="x_vgg16"}': "0+15000000x20",
                'nv_inference_queue_duration_us{pod="a",model="x_decode"}': "0+15000000x20",
                'nv_inference_request_success{pod="a",model="x_vgg16"}': "0+20x20",
                'nv_inference_request_success{pod="b",model="x_vgg16"}': "0+40x20",
                'nv_inference_request_success{pod="a",model="x_decode"}': "0+60x20",
                'nv_inference_queue_duration_us{pod="a",model="never_asked"}': "0+0x20",
                'nv_inference_request_success{pod="a",model="never_asked"}': "0+0x20",
            },
            0.75,
        ),
    ],
    ids=["idle", "one model waits longer than the other"],
)
def test_the_queue_is_the_mean_wait_of_the_model_that_has_the_longest(
    series, seconds, queries, tmp_path
):
    assert verdict(tmp_path, series, queries["queue"], seconds) == []


@pytest.mark.parametrize(("turned_away", "woken"), [("0+0x20", 0), ("0+1x20", 1)])
def test_whoever_is_turned_away_wakes_the_first_replica(turned_away, woken, queries, tmp_path):
    series = IDLE | {'gateway_requests_total{pod="a",outcome="unavailable"}': turned_away}
    assert verdict(tmp_path, series, queries["wake"], woken) == []


def releases(measured, numbers, one, other):
    """Two releases of a pipeline: what was measured of their answers, and how many there were."""
    return {
        f'{name}{{pipeline="x",release="{release}"}}': f"{value}+0x20"
        for release, values in (("old", one), ("new", other))
        for name, value in zip((measured, numbers), values, strict=True)
    }


@pytest.fixture(scope="module")
def judgements(as_they_are):
    found = list(analysis_queries(as_they_are, "second-opinion"))
    return {query.where.rpartition("analysis ")[2]: query.expression for query in found}


@pytest.mark.parametrize(
    ("name", "measured", "numbers"),
    [
        (
            "disagreement",
            "release:prediction_disagreement:mean1h",
            "release:prediction_disagreement:increase1h",
        ),
        (
            "low-confidence",
            "release:prediction_low_confidence:ratio1h",
            "release:prediction_confidence:increase1h",
        ),
    ],
)
@pytest.mark.parametrize(
    ("old", "new", "apart"),
    [
        ((0.25, 900), (0.25, 300), 0),
        ((0.25, 900), (0.5, 300), 0.25),
        ((0.5, 900), (0.25, 300), 0.25),
        ((0.25, 900), (0.5, 49), None),
        ((0.25, 49), (0.5, 49), None),
    ],
    ids=["alike", "the new one is worse", "better", "too few answers of it", "a quiet hour"],
)
def test_a_canary_is_judged_by_how_far_two_releases_are_apart(
    name, measured, numbers, *, old, new, apart, judgements, tmp_path
):
    series = releases(measured, numbers, old, new)
    assert verdict(tmp_path, series, judgements[name], apart) == []
