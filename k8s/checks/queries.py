"""Every PromQL expression of the manifests, with its place."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from k8s.checks import canary
from k8s.checks.rendering import Rendered
from k8s.checks.tree import Tree

_SELECTORS = "<<.LabelMatchers>>"
_VARIABLE = re.compile(r"label_values\((.+),\s*\w+\)")
"""Grafana's own function, around a selector and the label whose values it lists."""


@dataclass(frozen=True)
class Query:
    """An expression; `where` names the file or object, and the rule or panel in it."""

    where: str
    expression: str


@dataclass(frozen=True)
class AdapterRule:
    """A metric that the Prometheus adapter offers to a HorizontalPodAutoscaler."""

    name: str
    series: str
    expression: str
    """With the adapter's placeholder."""

    def in_namespace(self, namespace: str) -> str:
        """What the adapter asks for an autoscaler of a namespace."""
        return self.expression.replace(_SELECTORS, f'namespace="{namespace}"')


def adapter_rules(tree: Tree) -> list[AdapterRule]:
    """Those that the project ships."""
    values = yaml.safe_load(tree.adapter.read_text("utf-8"))
    return [
        AdapterRule(rule["name"]["as"], rule["seriesQuery"], rule["metricsQuery"])
        for rule in values["rules"]["external"]
    ]


def scaler_queries(tree: Tree, rendered: Rendered) -> Iterator[Query]:
    """What the autoscalers ask, each one once."""
    seen = set()
    for overlay in rendered.overlays:
        for item in overlay.of_kind("ScaledObject"):
            for trigger in item["spec"]["triggers"]:
                query = trigger["metadata"].get("query")
                if query and query not in seen:
                    seen.add(query)
                    yield Query(f"{overlay.name}: trigger {trigger['name']}", query)
    for rule in adapter_rules(tree):
        yield Query(f"{tree.adapter.name}: {rule.name}", rule.in_namespace("any"))
        yield Query(f"{tree.adapter.name}: {rule.name}: seriesQuery", rule.series)


def analysis_queries(rendered: Rendered, namespace: str = "any") -> Iterator[Query]:
    """What canaries are judged by, in a namespace."""
    for overlay in rendered.overlays:
        for item in overlay.of_kind("AnalysisTemplate"):
            for name, query in canary.filled(item, namespace):
                yield Query(f"{overlay.name}: analysis {name}", query)


def rule_queries(rendered: Rendered) -> Iterator[Query]:
    """Of recording rules and alerts."""
    for owner, rule in _rules(rendered):
        yield Query(f"{owner}: {rule.get('alert') or rule.get('record')}", str(rule["expr"]))


def recorded(rendered: Rendered) -> set[str]:
    """Series that recording rules make."""
    return {rule["record"] for _, rule in _rules(rendered) if "record" in rule}


def _rules(rendered: Rendered) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each rule with the name of its PrometheusRule."""
    for overlay in rendered.overlays:
        for item in overlay.of_kind("PrometheusRule"):
            for group in item["spec"]["groups"]:
                yield from ((item["metadata"]["name"], rule) for rule in group["rules"])


def dashboard_queries(tree: Tree) -> Iterator[Query]:
    """Of every panel and every variable of a dashboard."""
    for file in sorted(tree.k8s.glob("monitoring/dashboards/*.json")):
        yield from _of_part(file.name, json.loads(file.read_text("utf-8")))


def _of_part(where: str, part: object) -> Iterator[Query]:
    if isinstance(part, list):
        for each in part:
            yield from _of_part(where, each)
    if isinstance(part, dict):
        title = part.get("title")
        inside = f"{where}: {title}" if isinstance(title, str) else where
        for key, each in part.items():
            if key == "expr" and isinstance(each, str):
                yield Query(inside, each)
            elif key == "definition" and isinstance(each, str):
                if match := _VARIABLE.fullmatch(each):
                    yield Query(inside, match[1])
            else:
                yield from _of_part(inside, each)
