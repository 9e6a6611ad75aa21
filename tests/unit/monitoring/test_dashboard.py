"""The dashboard is one that Grafana can show, of series that exist and variables that it has."""

import itertools
import re

import pytest
import yaml

from k8s.monitoring import promtool
from k8s.monitoring.expressions import metrics
from tests.monitoring import dashboard, filled, queries, rules

BOARD = dashboard()
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
VARIABLES = {each["name"] for each in BOARD["templating"]["list"]}
# Grafana's own.
GIVEN = {"__rate_interval"}


def test_there_is_one_datasource_and_it_is_chosen_by_its_variable():
    assert {"datasource", "namespace", "pipeline"} == VARIABLES
    first = BOARD["templating"]["list"][0]
    assert (first["type"], first["query"]) == ("datasource", "prometheus")
    for panel in PANELS:
        for place in (panel, *panel["targets"]):
            assert place["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_have_numbers_of_their_own_and_cover_no_other():
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    covered: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        across = range(place["x"], place["x"] + place["w"])
        cells = set(itertools.product(across, range(place["y"], place["y"] + place["h"])))
        assert across.stop <= 24
        assert not cells & covered, panel["title"]
        covered |= cells


def test_titles_tell_panels_apart():
    titles = [panel["title"] for panel in PANELS]
    assert len(set(titles)) == len(titles)
    for panel in PANELS:
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0


def test_only_variables_are_used_that_are_there():
    for query in queries(BOARD):
        assert set(re.findall(r"\$\{?(\w+)", query)) <= VARIABLES | GIVEN


def test_prometheus_can_read_each_query(tmp_path):
    recording = [
        {"record": f"query:{number}", "expr": filled(query)}
        for number, query in enumerate(queries(BOARD))
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recording}]}), "utf-8")
    promtool.check([file])


@pytest.mark.parametrize("query", queries(BOARD))
def test_each_recorded_series_that_is_shown_is_recorded(query):
    recorded = {rule.name for rule in rules() if not rule.alert}
    assert {name for name in metrics(query) if ":" in name} <= recorded
