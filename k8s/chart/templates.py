"""Writes the chart's templates: the overlays' objects, with values and choices in their places."""

import copy
import itertools
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import yaml

from k8s.chart.values import (
    ADDED,
    AUTOSCALING,
    FIELDS,
    GENERATED,
    MODELS,
    ONLY_IF,
    REMOVED,
    FieldPath,
    reach,
)
from k8s.checks.errors import ChecksError
from k8s.checks.rendering import Object, Rendered, name_of, objects_of

CHART = PurePosixPath("k8s/chart/second-opinion")
FOLDER = CHART / "templates"
NAMESPACE = "second-opinion"
_MISSING = object()
_HASH = re.compile(rf"\b({'|'.join(GENERATED)})-[a-z0-9]{{10}}\b")
_MARK = re.compile(r"^( *)(- )?(?:'?[\w./-]+'?: )?'?@@(\d+)@@'?(?:: null)?$")
_WRITTEN = "{{- /* Written by `python -m k8s.chart` from the kustomize overlays. */ -}}\n"


def templates(rendered: Rendered) -> dict[str, str]:
    """The text of each template, by the name of its file.

    Raises:
        ChecksError: an overlay that the chart is made of is missing.
    """
    models = {choice: _objects(rendered, overlay) for choice, overlay in MODELS.items()}
    names = dict.fromkeys(itertools.chain.from_iterable(models.values()))
    texts = {
        name: _Template(name).of(
            {each: found.get(name, _MISSING) for each, found in models.items()}
        )
        for name in names
    }
    for choice, overlay in AUTOSCALING.items():
        for name, item in _objects(rendered, overlay).items():
            if name not in texts:
                text = _Template(name).of({"": item})
                texts[name] = (
                    f'{{{{- if eq .Values.autoscaling.by "{choice}" }}}}\n{text}{{{{- end }}}}\n'
                )
    for name, condition in ONLY_IF.items():
        texts[name] = f"{{{{- if {condition} }}}}\n{texts[name]}{{{{- end }}}}\n"
    return {f"{_file(name)}.yaml": _WRITTEN + text for name, text in sorted(texts.items())}


def without_hashes(text: str) -> str:
    """A text whose ConfigMaps have the names that the chart gives them."""
    return _HASH.sub(r"\1", text)


def _file(name: str) -> str:
    kind, of = name.split()
    return f"{of}-{kind.lower()}"


def _objects(rendered: Rendered, overlay: str) -> dict[str, Object]:
    found = rendered.find(overlay)
    if found is None:
        raise ChecksError(f"k8s/overlays/{overlay}: the chart is made of it, and it is not there")
    items = objects_of(without_hashes(found.text))
    return {name_of(item): item for item in items if item["kind"] != "Namespace"}


class _Template:
    """One object's; what the choices differ in stands in conditions."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._blocks: list[str | Mapping[str, Any]] = []
        """By the number in a mark: text that is added, or what stands there by choice."""

    def of(self, choices: Mapping[str, Any]) -> str:
        """The template of an object, by `models.from`; some choices may have none."""
        prepared = {
            choice: item if item is _MISSING else self._prepared(item)
            for choice, item in choices.items()
        }
        there = {choice: item for choice, item in prepared.items() if item is not _MISSING}
        text = self._text(self._merged(there))
        if len(there) < len(prepared):
            return f"{{{{- if {_is(list(there))} }}}}\n{text}{{{{- end }}}}\n"
        return text

    def _prepared(self, item: Object) -> Object:
        item = copy.deepcopy(item)
        for path in REMOVED.get(self._name, ()):
            reach(item, path, lambda holder, key: holder.pop(key))
        for path, expression in FIELDS.get(self._name, {}).items():
            reach(item, path, partial(_put, expression))
        for path, text in ADDED.get(self._name, {}).items():
            self._add(item, path, text)
        return item

    def _add(self, item: Object, path: FieldPath, text: str) -> None:
        if text not in self._blocks:
            self._blocks.append(text)
        mark = f"@@{self._blocks.index(text)}@@"
        reach(item, path, lambda holder, key: _put(None, holder[key], mark))

    def _merged(self, choices: Mapping[str, Any]) -> Any:  # noqa: ANN401 - YAML
        first, *others = choices.values()
        if all(each == first for each in others):
            return first
        if all(isinstance(each, dict) for each in choices.values()):
            keys = dict.fromkeys(itertools.chain.from_iterable(choices.values()))
            ordered = sorted(keys, key=lambda key: key != "name")
            return {key: self._merged(_each(choices, key)) for key in ordered}
        if all(_named(each) for each in choices.values()):
            by_name = {
                choice: {item["name"]: item for item in items} for choice, items in choices.items()
            }
            names = dict.fromkeys(itertools.chain.from_iterable(by_name.values()))
            return [self._merged(_each(by_name, name)) for name in names]
        self._blocks.append(choices)
        return f"@@{len(self._blocks) - 1}@@"

    def _text(self, node: Any) -> str:  # noqa: ANN401 - YAML
        return "".join(self._lines(node))

    def _lines(self, node: Any) -> Iterator[str]:  # noqa: ANN401 - YAML
        dumped = yaml.safe_dump(node, sort_keys=False, width=10_000, default_flow_style=False)
        for line in dumped.splitlines():
            mark = _MARK.match(line)
            if mark is None:
                yield f"{_unquoted(line)}\n"
                continue
            indent, item, number = mark.groups()
            block = self._blocks[int(number)]
            if isinstance(block, str):
                yield from _indented(block.strip("\n"), indent)
                continue
            key = None if item else line.strip().partition(":")[0]
            yield from self._conditions(block, indent, key)

    def _conditions(
        self, choices: Mapping[str, Any], indent: str, key: str | None
    ) -> Iterator[str]:
        same: dict[str, list[str]] = {}
        for choice, node in choices.items():
            if node is not _MISSING:
                text = self._text([node] if key is None else {key: node})
                same.setdefault(text, []).append(choice)
        for text, chosen in same.items():
            yield f"{{{{- if {_is(chosen)} }}}}\n"
            yield from _indented(text.rstrip("\n"), indent)
            yield "{{- end }}\n"


def _put(text: str | None, holder: Any, key: Any) -> None:  # noqa: ANN401 - YAML
    holder[key] = text


def _each(choices: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {choice: node.get(key, _MISSING) for choice, node in choices.items()}


def _named(node: object) -> bool:
    return isinstance(node, list) and all(
        isinstance(each, dict) and "name" in each for each in node
    )


def _is(choices: list[str]) -> str:
    words = " ".join(f'"{choice}"' for choice in choices)
    return f"has .Values.models.from (list {words})"


def _indented(text: str, indent: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"{line}\n" if line.startswith("{{-") else f"{indent}{line}\n"


def _unquoted(line: str) -> str:
    """A line with its template expressions, and the release's namespace in place of ours."""
    line = re.sub(r"'(\{\{ .* \}\})'", r"\1", line)
    line = re.sub(r"'(--\w+=\{\{ .* \}\})'", lambda found: found[1].replace("''", "'"), line)
    here = "{{ .Release.Namespace }}"
    line = line.replace(f'namespace="{NAMESPACE}"', f'namespace="{here}"')
    return re.sub(rf"^( *)namespace: {NAMESPACE}$", rf"\1namespace: {here}", line)
