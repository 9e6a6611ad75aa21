"""Checks that the Helm chart is what the kustomize overlays are, as Helm itself renders it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from k8s.chart.templates import CHART, FOLDER, NAMESPACE, templates, without_hashes
from k8s.chart.values import AUTOSCALING, MODELS
from k8s.checks import executables, schemas
from k8s.checks.errors import ChecksError
from k8s.checks.rendering import Object, Overlay, Rendered, name_of, objects_of
from k8s.checks.tree import Tree
from k8s.checks.workloads import workload

Values = dict[str, Any]
_APART = {"Namespace", "PersistentVolume", "PersistentVolumeClaim models"}
"""What a site makes before the chart, by kind or name."""
_HELM = Path(__file__).with_name("helm.py")


def problems(tree: Tree, rendered: Rendered) -> Iterator[str]:
    """Templates that nobody wrote anew, what Helm refuses, and objects that differ.

    Raises:
        ChecksError: Helm's library is missing, or an overlay that the chart is made of.
    """
    yield from _stale(tree, templates(rendered))
    cases = {overlay: values(tree, rendered, overlay) for overlay in _overlays()}
    report = render(tree, cases)
    yield from (f"{CHART}: helm lint: {each}" for each in report["lint"])
    for overlay, answer in report["cases"].items():
        if "error" in answer:
            yield f"{CHART}: with the values of {overlay}: {answer['error'].strip()}"
            continue
        found = _objects(answer["text"])
        chart = Overlay(f"chart as {overlay}", list(found.values()), answer["text"])
        yield from schemas.problems(Rendered([chart], []))
        yield from _differences(overlay, found, _wanted(rendered, overlay))


def render(tree: Tree, cases: Mapping[str, Values]) -> dict[str, Any]:
    """What Helm's linter says of the chart, and the chart with several values.

    Raises:
        ChecksError: Helm's library is missing, or fails.
    """
    asked = {"chart": str(tree.root / CHART), "namespace": NAMESPACE, "cases": cases}
    ended = executables.run([str(executables.tools_python()), str(_HELM)], text=json.dumps(asked))
    try:
        report: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        raise ChecksError(f"helm: no report: {ended.stderr.strip()[-2000:]}") from None
    return report


def values(tree: Tree, rendered: Rendered, overlay: str) -> Values:
    """What makes the chart the same as an overlay."""
    if overlay == "cpu":
        text = (tree.root / CHART / "values-cpu.yaml").read_text("utf-8")
        read: Values = yaml.safe_load(text)
        return read
    choice = next((each for each, of in MODELS.items() if of == overlay), "existingClaim")
    scaling = next((each for each, of in AUTOSCALING.items() if of == overlay), "none")
    chosen: Values = {"from": choice, **_release(rendered, overlay, choice)}
    return {"models": chosen, "autoscaling": {"by": scaling}}


def _overlays() -> list[str]:
    return list(dict.fromkeys([*MODELS.values(), *AUTOSCALING.values(), "cpu"]))


def _release(rendered: Rendered, name: str, choice: str) -> Values:
    """The release that an overlay serves, as the chart's values."""
    overlay = rendered.find(name)
    triton = workload(overlay, "triton") if overlay else None
    if overlay is None or triton is None:
        raise ChecksError(f"k8s/overlays/{name}: it has no Deployment triton")
    match choice:
        case "image":
            volumes = {each["name"]: each for each in triton.pod["volumes"]}
            return {"image": volumes["models"]["image"]["reference"]}
        case "claim":
            mounts = {each["name"]: each for each in triton.pod["containers"][0]["volumeMounts"]}
            return {"claim": {"folder": mounts["models"]["subPath"]}}
        case "store":
            account = overlay.find("ServiceAccount", "triton") or {"metadata": {}}
            annotations = account["metadata"].get("annotations", {})
            url = triton.environment(overlay)["MODELS_URL"]
            return {"store": {"url": url, "serviceAccountAnnotations": annotations}}
        case _:
            return {}


def _stale(tree: Tree, written: Mapping[str, str]) -> Iterator[str]:
    folder = tree.root / FOLDER
    there = {path.name: path.read_text("utf-8") for path in folder.glob("*.yaml")}
    for name in sorted(written.keys() | there.keys()):
        if written.get(name) != there.get(name):
            yield f"{FOLDER}/{name}: is not what the overlays say: run `python -m k8s.chart`"


def _objects(text: str) -> dict[str, Object]:
    return {name_of(item): item for item in objects_of(text)}


def _wanted(rendered: Rendered, name: str) -> dict[str, Object]:
    overlay = rendered.find(name)
    if overlay is None:
        raise ChecksError(f"k8s/overlays/{name}: the chart is compared with it; it is not there")
    return {
        each: item
        for each, item in _objects(without_hashes(overlay.text)).items()
        if not ({item["kind"], each} & (_APART if name == "cpu" else {"Namespace"}))
    }


def _differences(
    overlay: str, found: Mapping[str, Object], wanted: Mapping[str, Object]
) -> Iterator[str]:
    for name in sorted(found.keys() | wanted.keys()):
        if name not in found or name not in wanted:
            where = "chart" if name in found else "overlay"
            yield f"{CHART}: as {overlay}: only the {where} has {name}"
        elif places := list(_differing(_comparable(found[name]), _comparable(wanted[name]))):
            yield f"{CHART}: as {overlay}: {name}: {', '.join(places[:5])}: another value"


def _comparable(item: Object) -> Object:
    """An object without the chart's checksums, and with what an absent field means."""
    if item["kind"] == "Deployment":
        item["spec"]["template"]["metadata"].pop("annotations", None)
        item["spec"].setdefault("replicas", 1)
    return item


def _differing(one: Any, other: Any, where: str = "") -> Iterator[str]:  # noqa: ANN401 - YAML
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from _differing(one.get(key), other.get(key), f"{where}.{key}".strip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from _differing(*pair, f"{where}[{number}]")
    elif one != other:
        yield where
