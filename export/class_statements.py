"""Finds what a checkpoint and the files beside it say of the order of its classes."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from export import class_map
from export.class_map import ClassMapError, Numbered
from export.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from export.checkpoint_file import CheckpointFile

CONFIG = "config.json"
"""Beside the weights that libraries of Hugging Face save."""
_METADATA = "__metadata__"
_DEPTH = 5
_IGNORED = re.compile(r"[\W_]+")
_THING = "(class(es)?|labels?|categor(y|ies)|targets?|names?)"
_INDEX = "(idx|index|id|int)"
_KEY = re.compile(
    r"classes|labels|names|categories|vocab|labelencoder"
    rf"|{_THING}(names?|list|labels?|map|mapping|dict|order|index)"
    rf"|{_THING}(to|2)({_INDEX}|{_THING})|{_INDEX}(to|2){_THING}"
)
"""Keys of class names, without separators and in lower case."""
_ELSEWHERE = re.compile(r"optim|.*sched|callback|loops|history|.*metric|.*scaler|loss|logs?$|rng")
"""Keys below which names are those of something else."""
_DEFAULT = re.compile(r"LABEL_\d+")
"""What transformers calls a class whose name nobody gave."""


@dataclass(frozen=True)
class Statement:
    """What one place says of the classes."""

    file: Path
    key: str
    """Where it stands in the file, e.g. `hyper_parameters.classes`; "" where it is the whole."""
    numbered: Numbered

    @property
    def place(self) -> str:
        """The key or, of a class map, the file's name."""
        return self.key or self.file.name


def of_checkpoint(file: CheckpointFile) -> list[Statement]:
    """All that a checkpoint says of its classes, and `config.json` beside it.

    Raises:
        CheckpointError: a place that has the classes cannot be read.
    """
    found = list(_find(file.path, file.contents))
    found += _find(file.path, {_METADATA: dict(file.metadata)})
    beside = file.path.with_name(CONFIG)
    if not beside.is_file():
        return found
    try:
        config = json.loads(beside.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{beside}: cannot be read as JSON: {error}") from None
    if isinstance(config, Mapping):
        found += _find(beside, config, f"{CONFIG}: ")
    return found


def of_class_map(path: Path) -> Statement:
    """What a training's class map says; it may be a part of a larger document.

    Raises:
        ClassMapError: it cannot be read, names no classes, or contradicts itself.
    """
    document = class_map.read(path)
    try:
        found = list(_find(path, document)) if isinstance(document, Mapping) else []
        if not found and (whole := class_map.numbered(document)):
            found = [Statement(path, "", whole)]
    except CheckpointError as error:
        raise ClassMapError(str(error)) from None
    except ClassMapError as error:
        raise ClassMapError(f"{path}: {error}") from None
    if not found:
        raise ClassMapError(f'{path}: no class map: write {{"0": "name", "1": "other", ...}}')
    if other := [each for each in found if each.numbered != found[0].numbered]:
        raise ClassMapError(
            f"{path}: {found[0].key} says {list(found[0].numbered.names)}, {other[0].key} says "
            f"{list(other[0].numbered.names)}: leave the right one alone"
        )
    return Statement(path, "", found[0].numbered)


def _find(
    file: Path, document: Mapping[Any, object], prefix: str = "", depth: int = 1
) -> Iterator[Statement]:
    """What stands under a key for class names, at any place of a document."""
    for name, value in document.items():
        key = f"{prefix}{name}"
        word = _word(name)
        if _ELSEWHERE.match(word):
            continue
        try:
            inner = class_map.container(value) if _may_hold(word, value) else value
            if _KEY.fullmatch(word) and not _is_document(inner):
                numbered = class_map.numbered(inner)
                if numbered and not all(map(_DEFAULT.fullmatch, numbered.names)):
                    yield Statement(file, key, numbered)
                continue
        except ClassMapError as error:
            raise CheckpointError(
                f"{file}: {key}: {error}; if it is not about the classes, remove it from the file"
            ) from None
        if isinstance(inner, Mapping) and depth < _DEPTH:
            yield from _find(file, inner, f"{key}.", depth + 1)


def _word(name: object) -> str:
    """The last part of a key, in lower case and without separators."""
    return _IGNORED.sub("", str(name).rpartition(".")[2] or str(name)).lower()


def _may_hold(word: str, value: object) -> bool:
    """Whether a namespace, an array or a string may hold a list or map that matters here."""
    return bool(_KEY.fullmatch(word)) or isinstance(value, Namespace | str)


def _is_document(value: object) -> bool:
    """Whether a map has keys for class names itself."""
    return isinstance(value, Mapping) and any(_KEY.fullmatch(_word(key)) for key in value)
