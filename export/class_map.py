"""Reads the order of classes from what a training wrote: lists, and maps of index and name."""

import json
import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from export.errors import ExportError

_YAML = {".yaml", ".yml"}
_SEPARATORS = re.compile(r"[,;|\n]")


class ClassMapError(ExportError):
    """A class map that cannot be read."""


@dataclass(frozen=True)
class Numbered:
    """Class names in the order of their indices."""

    first: int
    """The lowest index: 0 or, where 0 is a background without a name, 1."""
    names: tuple[str, ...]


def read(path: Path) -> object:
    """The content of a class map's file: JSON, YAML, or text with a name a line.

    Raises:
        ClassMapError: it cannot be read, or a key stands in it twice.
    """
    try:
        text = path.read_text("utf-8-sig")
        if path.suffix == ".txt":
            return [line.strip() for line in text.splitlines() if line.strip()]
        if path.suffix in _YAML:
            return yaml.safe_load(text)
        return json.loads(text, object_pairs_hook=_object)
    except ClassMapError as error:
        raise ClassMapError(f"{path}: {error}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        kind = "YAML" if path.suffix in _YAML else "JSON"
        reason = " ".join(str(error).split())
        raise ClassMapError(f"{path}: cannot be read as {kind}: {reason}") from None


def numbered(value: object) -> Numbered | None:
    """The class names of a list or a map, by index; None where the value names no class.

    A list has the names in order, or objects with `id` and `name`. A map has an index and a name in
    each entry, whichever of the two is the key. Indices are whole numbers, also of NumPy, or
    decimal strings. A string holds such a list or map, or names with commas between them.

    Raises:
        ClassMapError: an entry is no index and name, a name or index stands there twice, or the
            indices do not count from 0 (or 1) without a gap.
    """
    value = container(value)
    if isinstance(value, Mapping):
        entries = [(_scalar(key), _scalar(each)) for key, each in value.items()]
    elif isinstance(value, list | tuple):
        entries = [_listed(index, each) for index, each in enumerate(value)]
    else:
        return None
    if not any(isinstance(each, str) for entry in entries for each in entry):
        return None
    return _in_order([_entry(*entry) for entry in entries])


def container(value: object) -> object:
    """A list or map in Python's own types, where a namespace, an array or a string holds one.

    Raises:
        ClassMapError: a string holds a map with a key twice.
    """
    if isinstance(value, Namespace):
        return vars(value)
    if isinstance(value, str):
        return _parsed(value)
    # An array of names; a tensor of weights stays what it is.
    if getattr(getattr(value, "dtype", None), "kind", "") in {"U", "O", "S"}:
        return _python(value)
    return value


def _parsed(text: str) -> object:
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return json.loads(text, object_pairs_hook=_object)
        except ValueError:
            pass
        try:
            return yaml.safe_load(text)  # as Python prints a list or a dict
        except yaml.YAMLError:
            return text
    parts = [part.strip() for part in _SEPARATORS.split(text)]
    return [part for part in parts if part] if len(parts) > 1 else text


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object, whose keys stand there once each."""
    if double := _doubles([key for key, _ in pairs]):
        raise ClassMapError(_twice(double[0]))
    return dict(pairs)


def _listed(index: int, value: object) -> tuple[object, object]:
    """Index and name of a list's entry: its place and itself, or `id` and `name` of an object."""
    if isinstance(value, Mapping) and {"id", "name"} <= value.keys():
        return _scalar(value["id"]), _scalar(value["name"])
    return index, _scalar(value)


def _scalar(value: object) -> object:
    """A number or a string in Python's own types."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if getattr(value, "ndim", None) == 0:
        return _scalar(_python(value))
    return str(value) if isinstance(value, str) else value


def _python(value: object) -> object:
    converted: object = value.tolist() if hasattr(value, "tolist") else value
    return converted


def _entry(key: object, value: object) -> tuple[int, str]:
    """Index and name of an entry, whichever of the two is the key."""
    for index, name in ((value, key), (key, value)):
        if isinstance(index, int) and not isinstance(index, bool) and isinstance(name, str):
            if index < 0:
                break
            return index, name
    if isinstance(key, str) and isinstance(value, str) and key.isdecimal() != value.isdecimal():
        return (int(key), value) if key.isdecimal() else (int(value), key)
    raise ClassMapError(f"{key!r}: {value!r} is no entry: an index and a name belong together")


def _in_order(pairs: list[tuple[int, str]]) -> Numbered:
    indices = [index for index, _ in pairs]
    for each in (indices, [name for _, name in pairs]):
        if double := _doubles(each):
            raise ClassMapError(_twice(double[0]))
    first = 1 if min(indices) == 1 else 0
    if missing := sorted(set(range(first, first + len(indices))) - set(indices)):
        raise ClassMapError(
            f"no class has the index {missing[0]}: number the {len(indices)} classes "
            f"from 0 to {len(indices) - 1}"
        )
    return Numbered(first, tuple(name for _, name in sorted(pairs)))


def _twice(value: object) -> str:
    shown = int(value) if isinstance(value, str) and value.isdecimal() else value
    return f"{shown!r} is there twice: number each class once"


def _doubles(values: Sequence[object]) -> list[object]:
    return [value for value in dict.fromkeys(values) if values.count(value) > 1]
