"""Checks canaries by Argo Rollouts: what they run, how many pods, and what they are judged by."""

import re
from collections.abc import Iterator
from typing import Any

from k8s.checks.rendering import Object, Overlay, Rendered, name_of

_ARGUMENT = re.compile(r"\{\{\s*args\.([\w-]+)\s*\}\}")


def problems(rendered: Rendered) -> Iterator[str]:
    """Rollouts whose pods would run twice, or that nothing judges."""
    for overlay in rendered.overlays:
        for item in overlay.of_kind("Rollout"):
            for problem in (*_pods(item, overlay), *_judged(item, overlay)):
                yield f"{overlay.name}: {name_of(item)}: {problem}"
        for item in overlay.of_kind("AnalysisTemplate"):
            for problem in _measured(item):
                yield f"{overlay.name}: {name_of(item)}: {problem}"


def _pods(rollout: Object, overlay: Overlay) -> Iterator[str]:
    name = rollout["spec"]["workloadRef"]["name"]
    deployment = overlay.find("Deployment", name)
    if deployment is None:
        yield f"its Deployment {name} is not there"
    elif deployment["spec"].get("replicas") != 0:
        yield f"Deployment {name} runs pods of its own beside it: give it `replicas: 0`"
    steps = rollout["spec"]["strategy"]["canary"]["steps"]
    first = next((step["setWeight"] for step in steps if "setWeight" in step), 100)
    if rollout["spec"]["replicas"] * first < 100:  # noqa: PLR2004 - percent
        yield f"{first} % of {rollout['spec']['replicas']} pods is less than one; raise either"
    if any(overlay.of_kind("ScaledObject", "HorizontalPodAutoscaler")):
        yield "an autoscaler of its Deployment would start that one's pods; leave it out"


def _judged(rollout: Object, overlay: Overlay) -> Iterator[str]:
    steps = rollout["spec"]["strategy"]["canary"]["steps"]
    analyses = [step["analysis"] for step in steps if "analysis" in step]
    if not analyses:
        yield "no step has an analysis: nothing would stop it"
    for analysis in analyses:
        given = {each["name"] for each in analysis.get("args", [])}
        for used in analysis["templates"]:
            template = overlay.find("AnalysisTemplate", used["templateName"])
            if template is None:
                yield f"AnalysisTemplate {used['templateName']} is not there"
            else:
                for name in sorted(_wanted(template) - given):
                    yield f"its analysis gives {used['templateName']} no {name}"


def _wanted(template: Object) -> set[str]:
    return {each["name"] for each in template["spec"].get("args", []) if "value" not in each}


def _measured(template: Object) -> Iterator[str]:
    known = {each["name"] for each in template["spec"].get("args", [])}
    for metric in template["spec"]["metrics"]:
        for name in sorted(set(_ARGUMENT.findall(_query(metric))) - known):
            yield f"{metric['name']}: it has no argument {name}"
        for condition in ("successCondition", "failureCondition"):
            # Without the one, an empty answer is a success; without the other, a failure.
            if not metric.get(condition, "").startswith("len(result) > 0 && "):
                yield f"{metric['name']}: {condition} must begin with `len(result) > 0 && `"


def _query(metric: dict[str, Any]) -> str:
    return str(metric["provider"]["prometheus"]["query"])


def filled(template: Object, value: str) -> Iterator[tuple[str, str]]:
    """Each metric of a template with its query, all arguments replaced by a value."""
    for metric in template["spec"]["metrics"]:
        yield metric["name"], _ARGUMENT.sub(value, _query(metric))


def limits(template: Object) -> Iterator[tuple[str, str, float]]:
    """Each metric of a template with its query and what its value must stay below."""
    for metric in template["spec"]["metrics"]:
        limit = metric["successCondition"].rpartition("<")[2]
        yield metric["name"], _query(metric), float(limit)
