"""Reads the weights of a checkpoint, in the layouts that training scripts use.

No code from a checkpoint ever runs: pickled modules are refused.
"""

import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

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
        CheckpointError: no file, pickled objects in it, or no state dict in it.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    data = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
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


def _torch(path: Path) -> Mapping[str, Any]:
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds pickled Python objects, which could run any code, so it is not "
            "loaded. In the training environment save the weights alone: "
            "torch.save(model.state_dict(), 'weights.pt')\n"
            f"What was refused: {_first_line(error)}"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path}: not a PyTorch checkpoint, or cut short: {_first_line(error)}"
        ) from None
    if not isinstance(data, Mapping):
        raise CheckpointError(
            f"{path}: holds a {type(data).__name__}, not a state dict: "
            "save model.state_dict() instead"
        )
    return data


def _safetensors(path: Path) -> Mapping[str, Any]:
    """The tensors, and what the file's metadata says of `weights` and `classes` (JSON)."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            data = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a safetensors file, or cut short: {_first_line(error)}"
        ) from None
    try:
        classes = {"classes": json.loads(metadata["classes"])} if "classes" in metadata else {}
    except ValueError:
        raise CheckpointError(f"{path}: its metadata's `classes` must be a JSON list") from None
    return data | classes | {key: metadata[key] for key in ("weights",) if key in metadata}


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


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
