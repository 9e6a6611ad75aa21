"""Makes JPEG photos of many sizes within the pipeline's limits."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines import atomic_write
from pipelines.load import load_spec

_QUALITIES = (90, 80, 70, 60, 50, 40)
_SHARE = 0.95
"""Of the limit of bytes, at most: a form adds some around a photo."""
_NOISE = 6
_TILE = 512


def photo(megapixels: float, pipeline: str, drawn: bytes, folder: Path) -> bytes:
    """A 4:3 photo with a sensor's noise, at the first quality whose file is small enough.

    Args:
        megapixels: its size.
        pipeline: whose limits hold.
        drawn: a JPEG to enlarge or reduce.
        folder: keeps what was made.
    """
    kept = folder / f"{megapixels:g}.jpg"
    if kept.is_file():
        return kept.read_bytes()
    limit = load_spec(pipeline).limits.bytes * _SHARE
    height = round(math.sqrt(megapixels * 1e6 * 3 / 4))
    with Image.open(io.BytesIO(drawn)) as image:
        pixels = np.asarray(image.resize((height * 4 // 3, height), Image.Resampling.BICUBIC))
    noisy = Image.fromarray(_noisy(pixels))
    for quality in _QUALITIES:
        file = io.BytesIO()
        noisy.save(file, "JPEG", quality=quality)
        if file.tell() <= limit:
            break
    atomic_write.write_bytes(kept, file.getvalue())
    return file.getvalue()


def _noisy(
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """With one tile of noise laid over all of it, in little memory."""
    noise = np.random.default_rng(0).normal(0, _NOISE, (_TILE, _TILE, 3)).astype(np.int16)
    out = pixels.copy()
    for top in range(0, len(out), _TILE):
        for left in range(0, out.shape[1], _TILE):
            part = out[top : top + _TILE, left : left + _TILE]
            part[:] = np.clip(part + noise[: part.shape[0], : part.shape[1]], 0, 255)
    return out
