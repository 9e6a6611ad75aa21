"""Renders the overlays with kustomize."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import yaml

from k8s.checks import executables
from k8s.checks.tree import Tree

Object = dict[str, Any]
"""One Kubernetes object, as its YAML says it."""


def name_of(item: Object) -> str:
    """For a message: `Service gateway`."""
    return f"{item['kind']} {item['metadata']['name']}"


@dataclass(frozen=True)
class Overlay:
    """What `kubectl apply -k` would send."""

    name: str
    objects: list[Object]
    text: str

    def of_kind(self, *kinds: str) -> Iterator[Object]:
        """The objects of some kinds."""
        return (item for item in self.objects if item["kind"] in kinds)

    def find(self, kind: str, name: str) -> Object | None:
        """One object; None where there is none of this name."""
        found = (item for item in self.of_kind(kind) if item["metadata"]["name"] == name)
        return next(found, None)


@dataclass(frozen=True)
class Rendered:
    """All overlays that render, and what kustomize says of those that do not."""

    overlays: list[Overlay]
    problems: list[str]

    def find(self, name: str) -> Overlay | None:
        """One overlay; None where it is missing or does not render."""
        return next((overlay for overlay in self.overlays if overlay.name == name), None)


def objects_of(text: str) -> list[Object]:
    """The objects of a YAML stream; libyaml reads it ten times as fast as Python does."""
    return [item for item in yaml.load_all(text, Loader=yaml.CSafeLoader) if item]


def render(tree: Tree) -> Rendered:
    """Renders every overlay.

    Raises:
        ChecksError: there is no kustomize.
    """
    command = executables.kustomize()
    overlays, problems = [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rendering = pool.map(lambda each: executables.run([*command, str(each)]), tree.overlays)
    for folder, ended in zip(tree.overlays, rendering, strict=True):
        where = folder.relative_to(tree.root)
        if ended.returncode:
            problems.append(f"{where}: it does not render: {ended.stderr.strip()}")
            continue
        objects = objects_of(ended.stdout)
        if not objects:
            problems.append(f"{where}: it renders to nothing; name resources in kustomization.yaml")
        overlays.append(Overlay(folder.name, objects, ended.stdout))
    problems += _unreachable(tree)
    return Rendered(overlays, problems)


def _unreachable(tree: Tree) -> list[str]:
    """Folders of overlays without a kustomization, which nobody would render."""
    return [
        f"{folder.relative_to(tree.root)}: it has no kustomization.yaml; write one or remove it"
        for folder in sorted((tree.k8s / "overlays").iterdir())
        if folder.is_dir() and not (folder / "kustomization.yaml").exists()
    ]
