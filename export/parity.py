"""The parity gate of classifiers: logits and features of an artefact against its checkpoint's."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from export import photos
from export.errors import CheckpointError, ParityError
from export.formats import Run
from export.graph import ServedMember, as_served, features_of
from inference.features import difference
from pipelines.spec import PipelineSpec

BATCHES = (1, 3)
_SEED = 20
_CONSTANT = 1e-6
_MOST_PHOTOS, _MOST_SAMPLES = 32, 4
SAMPLES = Path(__file__).parent.parent / "samples"
"""Photos that ship with the project, to compare on where none are given."""
# Width and height of three more of them where images keep their sizes: tall, square, small.
_SIZES = ((300, 500), (416, 416), (160, 120))


def measure(
    member: ServedMember,
    run: Run,
    compared: Sequence[NDArray[np.uint8]],
    rows: Sequence[int],
    temperature: float = 1.0,
) -> float:
    """The largest absolute difference of logits, torch against the artefact.

    Args:
        member: the model in torch, in eval mode.
        run: the artefact.
        compared: UINT8 [H, W, 3] each, all of one size; random pixels are tried beside them.
        rows: for each class of the artefact its place among the model's.
        temperature: what the artefact's logits were divided by.

    Raises:
        ParityError: the artefact's output has another shape.
        CheckpointError: the model gives the same logits for photos and noise.
    """
    pixels = _pixels(compared)
    with torch.inference_mode():
        given = np.concatenate(
            [member(torch.from_numpy(batch)).numpy() for batch in np.split(pixels, len(pixels))]
        )
    if float(np.ptp(given, axis=0).max()) < _CONSTANT:
        raise CheckpointError(
            "the checkpoint gives the same answer for every image: a layer of it was not trained, "
            "or not saved"
        )
    found, expected = _compared(run, pixels, as_served(given, rows, temperature))
    worst = float(np.abs(found - expected).max())
    # NaN compares false with everything: it must not pass the gate.
    return worst if np.isfinite(worst) else float("inf")


def measure_features(
    member: ServedMember, run: Run, compared: Sequence[NDArray[np.uint8]]
) -> float:
    """How far features lie apart (`inference.features`), torch against the artefact.

    Args:
        member: the model in torch, in eval mode.
        run: the artefact, which gives features.
        compared: as in `measure`.

    Raises:
        ParityError: the artefact's features have another shape.
    """
    pixels = _pixels(compared)
    with torch.inference_mode():
        given = [
            features_of(member, torch.from_numpy(batch)).numpy()
            for batch in np.split(pixels, len(pixels))
        ]
    return difference(*_compared(run, pixels, np.concatenate(given)))


def _pixels(compared: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The photos, and random pixels, UINT8 [N, H, W, 3]."""
    shape = (max(BATCHES), *compared[0].shape)
    noise = np.random.default_rng(_SEED).integers(0, 256, shape, dtype=np.uint8)
    return np.concatenate([np.stack(compared), noise])


def _compared(
    run: Run, pixels: NDArray[np.uint8], expected: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What an artefact gives in batches of several sizes, and what it should give."""
    found, wanted = [], []
    for size in BATCHES:
        for start in range(0, len(pixels) - size + 1, size):
            some = slice(start, start + size)
            found.append(run(pixels[some]))
            wanted.append(expected[some])
            if found[-1].shape != wanted[-1].shape:
                raise ParityError(f"output shape {found[-1].shape}, in torch {wanted[-1].shape}")
    return np.concatenate(found), np.concatenate(wanted)


def photos_to_compare(folder: Path | None, spec: PipelineSpec) -> list[NDArray[np.uint8]]:
    """Photos as members see them, UINT8 [H, W, 3] each.

    Args:
        folder: of photos; None: some of `SAMPLES`.
        spec: the pipeline.

    Raises:
        ParityError: the folder holds no image that can be read.
    """
    rules = photos.decode_rules(spec)
    readable = photos.readable(photos.files_below(folder or SAMPLES), rules)
    most = _MOST_PHOTOS if folder else _MOST_SAMPLES
    read = [pixels for _, pixels in itertools.islice(readable, most)]
    if not read:
        raise ParityError(
            f"{folder or SAMPLES}: no image in it can be read: give --photos DIR with photos "
            "like those that are served"
        )
    if folder is None and spec.preprocessing.size is None:
        read += [
            np.array(Image.fromarray(pixels).resize(size))
            for pixels, size in zip(read, _SIZES, strict=False)
        ]
    return read
