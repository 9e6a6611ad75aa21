"""Reads the weights of a checkpoint, in the layouts that training scripts use."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from export.checkpoint_file import CheckpointFile, open_file
from export.errors import CheckpointError
from pipelines.manifest import sha256_of

_NESTED = ("state_dict", "model_state_dict", "model")
_PREFIXES = re.compile(r"^(module\.|_orig_mod\.)+")
_LISTED = 8


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's weights and what it says of itself."""

    path: Path
    sha256: str
    state_dict: dict[str, torch.Tensor]
    classes: tuple[str, ...] | None
    """Class names in the order of the logits, where the file tells them."""
    weights: Literal["trained", "demo"]

    def load_into(self, model: nn.Module, classes: tuple[str, ...]) -> None:
        """Fills a model's weights; `classes` are the pipeline's, in order.

        Raises:
            CheckpointError: a key or shape differs, a weight is not finite, or the file names its
                classes in another order.
        """
        if self.classes is not None and self.classes != classes:
            raise CheckpointError(
                f"{self.path}: its classes are {list(self.classes)}, the pipeline's "
                f"{list(classes)}: a swapped label is a wrong answer for every image. "
                "Correct `classes` in the YAML or use the right checkpoint"
            )
        expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        found = {key: tuple(value.shape) for key, value in self.state_dict.items()}
        problems = [
            *_listing(
                "missing", [f"{key} {list(expected[key])}" for key in expected - found.keys()]
            ),
            *_listing(
                "unexpected", [f"{key} {list(found[key])}" for key in found - expected.keys()]
            ),
            *_listing(
                "of another shape",
                [
                    f"{key}: expected {list(expected[key])}, found {list(found[key])}"
                    for key in expected.keys() & found.keys()
                    if expected[key] != found[key]
                ],
            ),
        ]
        if problems:
            raise CheckpointError(
                f"{self.path}: does not fit the architecture in the YAML:\n" + "\n".join(problems)
            )
        for key, value in self.state_dict.items():
            if not bool(torch.isfinite(value).all()):
                raise CheckpointError(f"{self.path}: {key} holds NaN or infinity: train it again")
        model.load_state_dict(self.state_dict)


def read(path: Path) -> Checkpoint:
    """Reads a checkpoint file: a bare state dict, a nested one, or safetensors.

    Raises:
        CheckpointError: the file cannot be opened (`checkpoint_file`), or holds no state dict.
    """
    data = _with_metadata(open_file(path))
    weights = next((data[key] for key in _NESTED if isinstance(data.get(key), Mapping)), data)
    tensors = {str(k): v for k, v in weights.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise CheckpointError(
            f"{path}: no state dict in it (keys: {', '.join(map(str, list(data)[:_LISTED]))}). "
            f"Save one bare or under {', '.join(_NESTED)}"
        )
    return Checkpoint(
        path=path,
        sha256=sha256_of(path),
        state_dict={_PREFIXES.sub("", key): value for key, value in tensors.items()},
        classes=_classes(path, data),
        weights="demo" if data.get("weights") == "demo" else "trained",
    )


def _with_metadata(file: CheckpointFile) -> Mapping[str, Any]:
    """What was saved, with what a safetensors file says of `weights` and `classes` (JSON)."""
    metadata = file.metadata
    try:
        classes = {"classes": json.loads(metadata["classes"])} if "classes" in metadata else {}
    except ValueError:
        raise CheckpointError(
            f"{file.path}: its metadata's `classes` must be a JSON list"
        ) from None
    said = classes | {key: metadata[key] for key in ("weights",) if key in metadata}
    return {**file.contents, **said}


def _classes(path: Path, data: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The class order that training scripts leave beside the weights, if they did."""
    for key in ("classes", "class_names"):
        if isinstance(data.get(key), list | tuple):
            return tuple(map(str, data[key]))
    index = data.get("class_to_idx")
    if not isinstance(index, Mapping):
        return None
    if sorted(index.values()) != list(range(len(index))):
        raise CheckpointError(f"{path}: class_to_idx must number the classes from 0: {dict(index)}")
    return tuple(sorted(map(str, index), key=lambda name: int(index[name])))


def _listing(title: str, entries: list[str]) -> list[str]:
    if not entries:
        return []
    shown = sorted(entries)[:_LISTED]
    more = [f"... and {len(entries) - _LISTED} more"] if len(entries) > _LISTED else []
    return [f"  {len(entries)} {title}:", *(f"    {entry}" for entry in [*shown, *more])]
