"""Converts images of all of Pillow's colour modes to RGB."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_BYTE = 255
_UINT16 = 65535


def to_rgb(image: Image.Image) -> Image.Image:
    """What `convert("RGB")` gives, but for deep grey, which Pillow 13 clips to white.

    Pillow reads 16-bit colour by its high byte; 16-bit grey gets the same here. 32-bit integers
    (I) and floats (F) do not say which value is white: values in [0, 255], and floats in [0, 1],
    keep their scale, integers up to 65535 are 16-bit, and any other range is stretched to [0, 255].

    Raises:
        ValueError: there are pixels that are not finite.
    """
    if image.mode.startswith("I;16"):
        return _grey(np.asarray(image) >> 8)
    if image.mode in {"I", "F"}:
        return _grey(_to_bytes(np.asarray(image)))
    if image.mode == "P":
        # It does not change the RGB, but Pillow warns about it.
        image.info.pop("transparency", None)
    # RGB is not copied, as images may be large.
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_bytes(values: NDArray[np.generic]) -> NDArray[np.float64]:
    pixels = values.astype(np.float64)
    low, high = pixels.min(), pixels.max()
    if not np.isfinite(high - low):
        raise ValueError("pixels that are not finite")
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        return pixels * _BYTE
    if low >= 0 and high <= _BYTE:
        return pixels
    if values.dtype.kind == "i" and low >= 0 and high <= _UINT16:
        return pixels // 256
    stretched: NDArray[np.float64] = (pixels - low) * (_BYTE / (high - low or 1.0))
    return stretched


def _grey(pixels: NDArray[np.generic]) -> Image.Image:
    return Image.fromarray(np.rint(pixels).astype(np.uint8)).convert("RGB")
