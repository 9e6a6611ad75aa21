"""The parity gate: an artefact must give its checkpoint's logits."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from export.demo.drawings import draw
from export.errors import ParityError
from export.formats import Run
from export.graph import ServedMember

BATCHES = (1, 3)
_SEED = 20
_MOST_PHOTOS = 32


def measure(member: ServedMember, run: Run, photos: NDArray[np.uint8]) -> float:
    """The largest absolute difference of logits, torch against the artefact.

    Args:
        member: the model in torch, in eval mode.
        run: the artefact.
        photos: UINT8 [P, H, W, 3]; random pixels are tried beside them.
    """
    shape = (max(BATCHES), *photos.shape[1:])
    noise = np.random.default_rng(_SEED).integers(0, 256, shape, dtype=np.uint8)
    worst = 0.0
    for pixels in _batches(np.concatenate([photos, noise])):
        with torch.inference_mode():
            expected = member(torch.from_numpy(pixels)).numpy()
        found = run(pixels)
        if found.shape != expected.shape:
            raise ParityError(f"output shape {found.shape}, in torch {expected.shape}")
        difference = float(np.abs(found - expected).max())
        # NaN compares false with everything: it must not pass the gate.
        worst = max(worst, difference if np.isfinite(difference) else float("inf"))
    return worst


def photos(folder: Path | None, height: int, width: int) -> NDArray[np.uint8]:
    """Photos to compare on, UINT8 [P, height, width, 3]: a folder's, or drawings of our own.

    Raises:
        ParityError: the folder holds no image that can be read.
    """
    if folder is None:
        drawn = [draw(seed % 2 == 1, seed, width, height) for seed in range(4)]
        return np.stack([np.asarray(image) for image in drawn])
    opened = (_open(path, height, width) for path in sorted(folder.iterdir()))
    read = list(itertools.islice((image for image in opened if image), _MOST_PHOTOS))
    if not read:
        raise ParityError(f"{folder}: no image in it can be read")
    return np.stack([np.asarray(image) for image in read])


def _open(path: Path, height: int, width: int) -> Image.Image | None:
    try:
        with Image.open(path) as image:
            return image.convert("RGB").resize((width, height))
    except (UnidentifiedImageError, OSError):
        return None


def _batches(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    for size in BATCHES:
        for start in range(0, len(pixels) - size + 1, size):
            yield pixels[start : start + size]
