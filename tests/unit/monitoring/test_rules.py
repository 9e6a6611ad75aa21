"""The shipped rules hold together: names, tests, runbooks, guarded divisions.

`make k8s-check` runs the rules' own tests.
"""

import re
import shutil
import subprocess
import sys

import pytest
import yaml

from gateway.errors import Code, status_of
from k8s.monitoring import promtool, rule_files
from k8s.monitoring.expressions import metrics
from lab.autoscaling.durations import shorter
from tests.integration.service import ROOT
from tests.monitoring import rules, write_faster

RULES = rules()
ALERTS = [rule for rule in RULES if rule.alert]
RUNBOOKS = ROOT / "docs" / "runbooks"
# What a summary may show: names of ours and of machines, never anything that a caller sent.
SHOWN = {
    *("pipeline", "release", "code", "model", "job", "instance", "gpu_uuid", "step"),
    "figure",
    *("namespace", "deployment", "pod", "container", "name", "UUID", "Hostname"),
}
RUNBOOKS_ADDRESS = '{{ range query "second_opinion:runbooks:info" }}{{ .Labels.url }}{{ end }}'


def looks() -> dict[str, list[bool]]:
    """Of each alert, for each time that its tests look: whether it should fire."""
    found: dict[str, list[bool]] = {}
    for file in promtool.TESTS.glob("*.yaml"):
        for case in yaml.safe_load(file.read_text("utf-8"))["tests"]:
            for look in case.get("alert_rule_test", []):
                found.setdefault(look["alertname"], []).append(bool(look["exp_alerts"]))
    return found


def names(rules):
    return [rule.name for rule in rules]


def test_promtool_accepts_the_rules(tmp_path):
    promtool.check(rule_files.write(tmp_path))


def test_no_name_is_there_twice():
    assert len(set(names(RULES))) == len(RULES)


@pytest.mark.parametrize("alert", names(ALERTS))
def test_each_alert_is_tested_to_fire_and_not_to_fire(alert):
    assert set(looks()[alert]) == {True, False}


def test_no_test_is_of_an_alert_that_is_not_there():
    assert looks().keys() == set(names(ALERTS))


@pytest.mark.parametrize("alert", ALERTS, ids=names(ALERTS))
def test_each_alert_says_how_bad_it_is_and_what_to_do(alert):
    assert alert.labels["severity"] in {"critical", "warning"}
    assert alert.annotations["runbook_url"] == f"{RUNBOOKS_ADDRESS}/{alert.name}.md"
    page = (RUNBOOKS / f"{alert.name}.md").read_text("utf-8")
    assert page.startswith(f"# {alert.name}\n")
    for part in ("What it means", "How to look", "What to do"):
        assert f"**{part}" in page


def test_the_documentation_lists_each_alert_with_its_severity():
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    listed = re.findall(r"^\| \[(\w+)\]\(runbooks/(\w+)\.md\) \| (\w+) \|", page, re.MULTILINE)
    assert listed == [(each.name, each.name, each.labels["severity"]) for each in ALERTS]


@pytest.mark.parametrize("over", ["increase5m", "rate5m", "increase1h", "increase6h"])
def test_failures_are_all_outcomes_of_the_5xx_statuses(over):
    (rule,) = (each for each in RULES if each.name == f"pipeline:gateway_failures:{over}")
    (counted,) = re.findall(r'outcome=~"([^"]+)"', rule.expression)
    assert set(counted.split("|")) == {str(code) for code in Code if status_of(code) >= 500}


@pytest.mark.parametrize("alert", ALERTS, ids=names(ALERTS))
def test_what_the_cluster_says_is_asked_of_namespaces_of_the_service_only(alert):
    own = re.compile(r"gateway_|prediction_|server_|nv_|up$")
    others = {name for name in metrics(alert.expression) if ":" not in name and not own.match(name)}
    if others:
        assert re.search(r"and on \((namespace|UUID)\) \w+:second_opinion:info", alert.expression)


def test_one_setting_makes_every_runbook_an_address_that_can_be_opened(tmp_path):
    source = tmp_path / "site"
    shutil.copytree(rule_files.FOLDER, source)
    inputs = (source / "inputs.yaml").read_text("utf-8")
    address = "https://wiki.clinic.example/"
    assert inputs.count("url: docs/runbooks") == 1
    (source / "inputs.yaml").write_text(inputs.replace("url: docs/", f"url: {address}"), "utf-8")
    tests = tmp_path / "tests"
    tests.mkdir()
    shipped = (promtool.TESTS / "processes.yaml").read_text("utf-8")
    told = shipped.replace("runbook_url: docs/", f"runbook_url: {address}")
    (tests / "processes.yaml").write_text(told, "utf-8")
    promtool.run_tests(tmp_path / "scratch", tests, source)


def test_each_runbook_is_of_an_alert():
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == set(names(ALERTS))


@pytest.mark.parametrize("alert", ALERTS, ids=names(ALERTS))
def test_no_summary_shows_what_a_caller_sent(alert):
    shown = set(re.findall(r"\$labels\.(\w+)", alert.annotations["summary"]))
    assert shown <= SHOWN
    assert "$labels " not in alert.annotations["summary"]


@pytest.mark.parametrize("rule", RULES, ids=names(RULES))
def test_each_recorded_series_that_is_asked_is_recorded(rule):
    recorded = {each.name for each in RULES if not each.alert}
    assert {name for name in metrics(rule.expression) if ":" in name} <= recorded


@pytest.mark.parametrize("rule", RULES, ids=names(RULES))
def test_no_division_is_by_what_may_be_zero(rule):
    for divisor in divisors(rule.expression):
        assert re.fullmatch(r"\d[\de]*|\(.*> 0\)", divisor, re.DOTALL), divisor


def divisors(expression: str) -> list[str]:
    """What stands behind each slash: a number, a bracket, or the text up to a blank."""
    found = []
    for match in re.finditer(r"/(?:\s*on\s*\([^)]*\)(?:\s*group_left\s*\(\))?)?\s*", expression):
        rest = expression[match.end() :]
        depth = 0
        for end, letter in enumerate(rest):
            depth += (letter == "(") - (letter == ")")
            if depth == 0 and (letter == ")" or rest[end + 1 : end + 2].isspace()):
                found.append(rest[: end + 1])
                break
        else:
            found.append(rest)
    return found


def test_an_unguarded_division_would_be_seen():
    assert divisors("a / b * 2") == ["b"]
    assert divisors("a / 1e6 / (sum(b) > 0)") == ["1e6", "(sum(b) > 0)"]
    assert divisors("a / on (x) group_left () (sum(b) > 0) or c") == ["(sum(b) > 0)"]


def test_promtool_refuses_a_broken_rule(tmp_path):
    (first, *_) = rule_files.write(tmp_path)
    first.write_text(first.read_text("utf-8").replace("expr: ", "expr: )", 1), "utf-8")
    with pytest.raises(promtool.RulesError, match="could not parse expression"):
        promtool.check([first])


def test_promtool_refuses_a_test_that_expects_something_else(tmp_path):
    tests = tmp_path / "planted"
    tests.mkdir()
    shipped = (promtool.TESTS / "processes.yaml").read_text("utf-8")
    planted = shipped.replace("values: _x40 1x80", "values: _x120", 1)
    assert planted != shipped
    (tests / "processes.yaml").write_text(planted, "utf-8")
    with pytest.raises(promtool.RulesError, match="a model's first dead process"):
        promtool.run_tests(tmp_path / "scratch", tests)


def test_a_rule_that_is_broken_fails_its_tests(tmp_path):
    planted_rules = tmp_path / "planted"
    shutil.copytree(rule_files.FOLDER, planted_rules)
    alerts = (planted_rules / "alerts.yaml").read_text("utf-8")
    planted = alerts.replace("ratio5m > 0.05", "ratio5m > 0.5")
    assert planted != alerts
    (planted_rules / "alerts.yaml").write_text(planted, "utf-8")
    tests = tmp_path / "tests"
    tests.mkdir()
    shutil.copy(promtool.TESTS / "service.yaml", tests)
    with pytest.raises(promtool.RulesError, match="one of ten requests fails"):
        promtool.run_tests(tmp_path / "scratch", tests, planted_rules)


def test_no_tests_at_all_are_no_success(tmp_path):
    with pytest.raises(promtool.RulesError, match="there are no tests"):
        promtool.run_tests(tmp_path / "scratch", tmp_path)


def test_faster_rules_have_shorter_durations_and_the_same_numbers(tmp_path):
    write_faster(tmp_path, 30)
    groups = [
        group
        for file in tmp_path.glob("*.yaml")
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
    ]
    assert {group["interval"] for group in groups} == {"1000ms", "2000ms"}
    faster = {rule.get("alert"): rule for group in groups for rule in group["rules"]}
    dead = faster["SecondOpinionStubDead"]["expr"]
    assert "increase(server_stub_restarts_total[20000ms]) > 0" in dead
    assert "unless server_stub_restarts_total offset 20000ms" in dead
    errors = faster["SecondOpinionErrors"]
    assert errors["for"] == "4000ms"
    assert errors["expr"] == next(a.expression for a in ALERTS if a.name == errors["alert"])


def test_a_duration_of_two_units_is_refused():
    with pytest.raises(ValueError, match="no duration"):
        shorter("1h30m", 30)


def test_the_rules_can_be_written_for_a_prometheus_without_the_operator(tmp_path):
    command = [sys.executable, "-m", "k8s.monitoring", str(tmp_path / "rules")]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    promtool.check(sorted((tmp_path / "rules").iterdir()))


def test_where_they_cannot_be_written_the_remedy_is_named(tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    command = [sys.executable, "-m", "k8s.monitoring", str(tmp_path / "file" / "rules")]
    ended = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith(": choose a folder that can be written\n")
