"""Reads photo files and decodes them as the service does."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from secondopinion import photo_files

from inference.decode import decode
from inference.errors import RefusedError
from inference.rules import DecodeRules
from pipelines.spec import PipelineSpec

Pixels = NDArray[np.uint8]
"""RGB, UINT8 [H, W, 3]."""


class UnreadablePhotoError(ValueError):
    """A file that is no photo, or one that the service would refuse."""


def decode_rules(spec: PipelineSpec) -> DecodeRules:
    """How a pipeline's photos become pixels."""
    return DecodeRules.from_spec(spec.model_dump(mode="json"))


def read(path: Path, rules: DecodeRules) -> Pixels:
    """A file's pixels, by the code that serves.

    Raises:
        UnreadablePhotoError: no image, broken, or beyond the pipeline's limits.
    """
    try:
        return decode(path.read_bytes(), rules).pixels
    except (OSError, RefusedError) as error:
        raise UnreadablePhotoError(f"{path}: {error}") from None


def readable(
    paths: Sequence[Path], rules: DecodeRules, left_out: dict[Path, str] | None = None
) -> Iterator[tuple[Path, Pixels]]:
    """The files among these that can be read, in their order.

    Args:
        paths: files.
        rules: how they become pixels.
        left_out: gets each of the others, and why.
    """
    for path in paths:
        try:
            yield path, read(path, rules)
        except UnreadablePhotoError as error:
            if left_out is not None:
                left_out[path] = str(error).removeprefix(f"{path}: ")


def files_below(folder: Path) -> list[Path]:
    """All files in a folder and its folders, in order, but those that a system leaves there.

    What is no image is among them, so that it is counted and named where it cannot be read.
    """
    return photo_files.below(folder).all()


def described(left_out: dict[Path, str]) -> str:
    """What was left out, counted and named in one line."""
    return photo_files.described(left_out)


def spread(paths: Sequence[Path], most: int) -> list[Path]:
    """At most `most` of these, evenly spaced."""
    return list(itertools.islice(paths, 0, None, max(1, -(-len(paths) // most))))
