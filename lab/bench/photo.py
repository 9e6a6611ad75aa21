"""The decode step that all contenders share: JPEG to the pixels that the models see.

Imported in every contender's own environment: it needs NumPy and Pillow alone. It gives what
`server/backends/image_decode` gives, bit for bit (a test compares them).
"""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from inference import scaling


@dataclass(frozen=True)
class Recipe:
    """From a photo of any size to `height` x `width`, both sides stretched."""

    height: int
    width: int
    interpolation: str
    """A name of `PIL.Image.Resampling`, in small letters."""
    reserve: int | None = None
    """See `scaling.scaled_size`; None: a JPEG is decoded whole, as in training."""


def decode(data: bytes, recipe: Recipe) -> NDArray[np.uint8]:
    """One JPEG as RGB pixels, UINT8 [height, width, 3].

    Raises:
        OSError: the bytes are no JPEG, or broken.
    """
    target = (recipe.width, recipe.height)
    with Image.open(BytesIO(data), formats=["JPEG"]) as image:
        if recipe.reserve is not None:
            image.draft("RGB", scaling.scaled_size(image.size, target, recipe.reserve))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        resized = rgb.resize(target, Image.Resampling[recipe.interpolation.upper()])
        return np.array(resized, dtype=np.uint8)
