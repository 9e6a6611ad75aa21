"""Opens a checkpoint file without running code of it; refuses what is damaged or no checkpoint."""

import argparse
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from export import numpy_pickles
from export.errors import CheckpointError
from export.numpy_pickles import UnknownTypeError
from export.quiet import quiet

_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
"""How torch.save began a file before PyTorch 1.6."""
_AGAIN = "download or copy it again"
_SAVE = (
    "In the training environment save the weights alone: "
    "torch.save(model.state_dict(), 'weights.pt')"
)
_HEAD = 512
_OTHERS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (
        re.compile(rb"version https://git-lfs\.github\.com/spec/"),
        "is a pointer of git-lfs, not the file itself: run `git lfs pull` where it was cloned",
    ),
    (
        re.compile(rb"\s*<(!doctype|html|head|\?xml|!--)", re.IGNORECASE),
        "is a web page, as a link to a login gives it: download the checkpoint itself",
    ),
    (re.compile(rb"\x89HDF\r\n"), f"is an HDF5 file, as Keras writes it, not PyTorch's. {_SAVE}"),
    (re.compile(rb"GGUF"), f"is a GGUF file, not a PyTorch checkpoint. {_SAVE}"),
    (re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf"), "is compressed: unpack it"),
    (re.compile(rb"(?s).{257}ustar"), "is a tar archive: unpack it and give the file in it"),
)
"""What a file is that begins like this, and the remedy."""
_SHOWN = 5


@dataclass(frozen=True)
class CheckpointFile:
    """What a file holds."""

    path: Path
    contents: Mapping[str, Any]
    """What was saved; of safetensors the tensors."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Of safetensors what its header says beside the tensors."""
    has_checksums: bool = False
    """Whether damage of its bytes would have been found: safetensors and files of before PyTorch
    1.6 have no checksums."""


def open_file(path: Path) -> CheckpointFile:
    """Opens a checkpoint; its content says of which format it is, not its name.

    Raises:
        CheckpointError: no file, damaged, of another format, or with pickled objects in it.
    """
    head = _head(path)
    for pattern, what in _OTHERS:
        if pattern.match(head):
            raise CheckpointError(f"{path}: {what}")
    if head.startswith(_ZIP):
        checked = _check_archive(path)
        return CheckpointFile(path, _unpickled(path), has_checksums=checked)
    if head[8:9] == b"{":
        return _safetensors(path)
    if head.startswith(_PICKLE):
        return CheckpointFile(path, _unpickled(path))
    if path.suffix == ".safetensors":
        raise CheckpointError(f"{path}: not a safetensors file, or damaged or cut short: {_AGAIN}")
    raise CheckpointError(f"{path}: not a PyTorch checkpoint: give the file of torch.save")


def _head(path: Path) -> bytes:
    if path.is_dir():
        inside = sorted(each.name for each in path.iterdir() if each.is_file())
        raise CheckpointError(
            f"{path}: is a folder: give the checkpoint file in it (it holds {_some(inside)})"
        )
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    if not head.strip(b"\0"):
        what = "holds zeros only" if head else "is empty"
        raise CheckpointError(f"{path}: {what}, not a PyTorch checkpoint: {_AGAIN}")
    return head


def _check_archive(path: Path) -> bool:
    """Checks a zip file and what it holds; returns whether it has checksums.

    torch.load verifies none of them.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            # As torch.serialization.set_crc32_options(False) leaves them.
            checked = any(entry.CRC for entry in entries)
            damaged = archive.testzip() if checked else None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise CheckpointError(
            f"{path}: is damaged or cut short ({_first_line(error)}): {_AGAIN}"
        ) from None
    if damaged is not None:
        raise CheckpointError(
            f"{path}: is damaged: the checksum of {damaged} in it is wrong: {_AGAIN}"
        )
    names = [entry.filename.partition("/")[2] or entry.filename for entry in entries]
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise CheckpointError(f"{path}: is a TorchScript program, not a state dict. {_SAVE}")
    if "archive_format" in names:
        raise CheckpointError(f"{path}: is a program of torch.export, not a state dict. {_SAVE}")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointError(f"{path}: is a compressed zip file: unpack it")
    if "data.pkl" not in names:
        raise CheckpointError(
            f"{path}: is a zip file, but not of torch.save (it holds {_some(names)}): give the "
            "checkpoint itself"
        )
    return checked


def _unpickled(path: Path) -> Mapping[str, Any]:
    try:
        # A namespace of command-line arguments holds values only; timm's scripts save one. Figures
        # and class maps are often NumPy's. A path would let torch.load choose the format by its
        # suffix.
        with (
            quiet(),
            path.open("rb") as file,
            torch.serialization.safe_globals([argparse.Namespace, *numpy_pickles.ALLOWED]),
        ):
            data = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL ([\w.]+) was not an allowed global", str(error))
        what = f" ({refused[1]})" if refused else " (or is damaged)"
        raise CheckpointError(
            f"{path}: holds pickled Python objects{what}, which could run any code, so it is not "
            f"loaded. {_SAVE}"
        ) from None
    except UnknownTypeError as error:
        raise CheckpointError(
            f"{path}: holds an array of NumPy that is not read ({error}). {_SAVE}"
        ) from None
    except Exception as error:  # noqa: BLE001 - a damaged pickle may raise anything
        raise CheckpointError(
            f"{path}: is damaged or cut short ({_first_line(error)}): {_AGAIN}"
        ) from None
    if not isinstance(data, Mapping):
        raise CheckpointError(
            f"{path}: holds a {type(data).__name__}, not a state dict: "
            "save model.state_dict() instead"
        )
    return data


def _safetensors(path: Path) -> CheckpointFile:
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
            return CheckpointFile(path, tensors, file.metadata() or {})
    except Exception as error:  # noqa: BLE001 - the library's own, and torch's for its data types
        raise CheckpointError(
            f"{path}: not a safetensors file, or damaged or cut short "
            f"({_first_line(error)}): {_AGAIN}"
        ) from None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
