"""Compares the class_map.json of a training with a pipeline's classes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import yaml

from export.errors import ExportError

T = TypeVar("T")
_SHOWN = 5


class ClassMapError(ExportError):
    """A class map that cannot be read, or that says other classes than the YAML."""


def check(path: Path, classes: Sequence[str], source: str) -> None:
    """Compares a class map with a pipeline's classes, in order.

    Args:
        path: JSON, `{"0": "name", ...}` or `{"name": 0, ...}`.
        classes: the pipeline's.
        source: the YAML that they come from.

    Raises:
        ClassMapError: it is no class map, or a class or its place differs.
    """
    found = read(path)
    if found == tuple(classes):
        return
    places = range(max(len(found), len(classes)))
    differences = [
        f"  {index}: {_at(found, index)} in the class map, {_at(classes, index)} in the YAML"
        for index in places
        if found[index : index + 1] != tuple(classes[index : index + 1])
    ]
    more = [f"  ... and {len(differences) - _SHOWN} more"] if len(differences) > _SHOWN else []
    block = yaml.safe_dump({"classes": list(found)}, sort_keys=False, allow_unicode=True)
    raise ClassMapError(
        "\n".join(
            [
                f"{path}: names other classes than {source}, or in another order:",
                *differences[:_SHOWN],
                *more,
                f"If the class map is the checkpoint's, put this into {source}:",
                block.rstrip(),
            ]
        )
    )


def read(path: Path) -> tuple[str, ...]:
    """The class names of a class map, by index.

    Raises:
        ClassMapError: no JSON object, a name or index twice, or indices that are not 0 to n - 1.
    """
    try:
        pairs = json.loads(path.read_text("utf-8"), object_pairs_hook=list)
    except (OSError, ValueError) as error:
        raise ClassMapError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(pairs, list) or not pairs or not all(isinstance(p, tuple) for p in pairs):
        raise ClassMapError(f'{path}: no class map: write {{"0": "name", "1": "other", ...}}')
    numbered = [_numbered(path, key, value) for key, value in pairs]
    indices, names = zip(*numbered, strict=True)
    if double := _doubles(indices) or _doubles(names):
        raise ClassMapError(f"{path}: {double[0]!r} is there twice: number each class once")
    if missing := sorted(set(range(len(indices))) - set(indices)):
        raise ClassMapError(
            f"{path}: no class has the index {missing[0]}: number the {len(indices)} classes "
            f"from 0 to {len(indices) - 1}"
        )
    return tuple(name for _, name in sorted(numbered))


def _numbered(path: Path, key: str, value: object) -> tuple[int, str]:
    """Index and name of an entry, whichever of the two is the key."""
    if isinstance(value, str) and key.isdecimal():
        return int(key), value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value, key
    raise ClassMapError(
        f"{path}: {key!r}: {json.dumps(value)} is no entry: an index and a name belong together"
    )


def _doubles(values: Sequence[T]) -> list[T]:
    return [value for value in dict.fromkeys(values) if values.count(value) > 1]


def _at(names: Sequence[str], index: int) -> str:
    return repr(names[index]) if index < len(names) else "no class"
