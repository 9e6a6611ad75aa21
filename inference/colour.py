"""Converts images of all of Pillow's colour modes to RGB."""

import numpy as np
from PIL import Image

from inference.tiff import white_bits, white_is_zero

_BYTE = 255
_BITS = 16
"""Of deep grey in a PNG."""


def to_rgb(image: Image.Image) -> Image.Image:
    """What `convert("RGB")` gives, but for deep grey, which Pillow 13 clips to white.

    Pillow reads 16-bit colour by its high byte; deep grey gets the same here, by the bits that the
    file says it has.

    Raises:
        ValueError: grey of 32 bits, or fractions, whose white no file says.
    """
    if image.mode.startswith("I;16"):
        tiff = image.format == "TIFF"
        grey = (np.asarray(image) >> ((white_bits(image) if tiff else _BITS) - 8)).clip(0, _BYTE)
        pixels = grey.astype(np.uint8)
        if tiff and white_is_zero(image):
            pixels = np.invert(pixels)
        return Image.fromarray(pixels).convert("RGB")
    if image.mode in {"I", "F"}:
        raise ValueError("grey without a known white")
    if image.mode == "P":
        # It does not change the RGB, but Pillow warns about it.
        image.info.pop("transparency", None)
    # RGB is not copied, as images may be large.
    return image if image.mode == "RGB" else image.convert("RGB")
