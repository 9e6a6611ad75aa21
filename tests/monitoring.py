"""The shipped rules, also with shorter durations, and the queries of the dashboard."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from k8s.monitoring import rule_files
from lab.autoscaling.durations import shorter

DASHBOARD = Path(rule_files.__file__).parent / "dashboards" / "second-opinion.json"
_EVERYTHING = {"$namespace": ".*", "$pipeline": ".*"}
_IN_AN_EXPRESSION = re.compile(r"(?<=\[)\d+(?:ms|s|m|h|d|w)(?=\])|(?<=offset )\d+(?:ms|s|m|h|d|w)")
"""A range, or an offset; seconds in an expression's numbers are none."""


@dataclass(frozen=True)
class Rule:
    """One recording rule or alert; `name` is what it records, or the alert's."""

    name: str
    alert: bool
    expression: str
    labels: dict[str, str]
    annotations: dict[str, str]


def rules() -> list[Rule]:
    """All of them, in the order of the files."""
    return [
        Rule(
            name=rule.get("alert") or rule["record"],
            alert="alert" in rule,
            expression=rule["expr"],
            labels=rule.get("labels", {}),
            annotations=rule.get("annotations", {}),
        )
        for document in rule_files.documents().values()
        for group in document["groups"]
        for rule in group["rules"]
    ]


def write_faster(folder: Path, faster: int) -> None:
    """Writes plain rule files with each duration (ranges, offsets, `for`, intervals) divided.

    Nothing else is changed, so that an alert of minutes can be seen within seconds.
    """
    for path in rule_files.write(folder):
        document = yaml.safe_load(path.read_text("utf-8"))
        for group in document["groups"]:
            if "interval" in group:
                group["interval"] = shorter(group["interval"], faster)
            for rule in group["rules"]:
                rule["expr"] = _IN_AN_EXPRESSION.sub(
                    lambda match: shorter(match[0], faster), rule["expr"]
                )
                if "for" in rule:
                    rule["for"] = shorter(rule["for"], faster)
        path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")


def dashboard() -> dict[str, Any]:
    """The shipped Grafana dashboard, as Grafana imports it."""
    board: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return board


def queries(board: dict[str, Any]) -> list[str]:
    """Each panel's, with variables as they are written; sorted, each once."""
    return sorted(
        {target["expr"] for panel in board["panels"] for target in panel.get("targets", [])}
    )


def filled(query: str, rate_interval: str = "5m") -> str:
    """A query as Grafana sends it where everything is chosen."""
    for variable, value in (_EVERYTHING | {"$__rate_interval": rate_interval}).items():
        query = query.replace(variable, value)
    return query
