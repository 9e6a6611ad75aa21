"""Resizes an upright image to a model's input size, and keeps the geometry of that resize."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.rules import DecodeRules
from pipelines.enums import Resize

_EIGHTHS = (8, 4, 2)
"""What libjpeg divides by at little cost: 4, 2 or 1 of 8 x 8 coefficients are left in a row."""


@dataclass(frozen=True)
class Geometry:
    """The affine from the upright image to the pixels; see `protocol.GEOMETRY`.

    `x_of_pixels = x_of_image * x_scale + left`, with pixel edges as coordinates: an image that is
    W wide spans 0 to W. A crop has a negative `left` or `top`.
    """

    height: int
    """Of the upright image, as is `width`."""
    width: int
    x_scale: float
    y_scale: float
    left: float
    top: float

    @classmethod
    def of(cls, array: NDArray[np.float64]) -> Self:
        """Reads it as it travelled."""
        height, width, *affine = array.tolist()
        return cls(int(height), int(width), *affine)

    def as_array(self) -> NDArray[np.float64]:
        """FP64 [6], as it travels."""
        affine = (self.x_scale, self.y_scale, self.left, self.top)
        return np.array((self.height, self.width, *affine), dtype=np.float64)

    def within(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the image in pixels of this size, without a border."""
        left, top = int(self.left), int(self.top)
        right = left + max(1, round(self.width * self.x_scale))
        bottom = top + max(1, round(self.height * self.y_scale))
        return max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])


def fit(image: Image.Image, rules: DecodeRules, shrunk: int = 1) -> tuple[Image.Image, Geometry]:
    """Resizes as the rules say, by Pillow.

    Args:
        image: upright.
        rules: how.
        shrunk: what the whole image's sides were divided by already; the geometry is the whole's.
    """
    width, height = image.width * shrunk, image.height * shrunk
    size = resized_size((width, height), rules)
    resized = image if rules.resize is Resize.NONE else image.resize(size, rules.interpolation)
    left = top = 0
    if rules.resize is Resize.CROP:
        # round() as in torchvision's CenterCrop: half a pixel goes to the even side.
        left = -round((resized.width - rules.width) / 2)
        top = -round((resized.height - rules.height) / 2)
        fitted = resized.crop((-left, -top, rules.width - left, rules.height - top))
    elif rules.resize is Resize.LETTERBOX:
        left, top = (rules.width - resized.width) // 2, (rules.height - resized.height) // 2
        fitted = Image.new("RGB", (rules.width, rules.height), (rules.fill,) * 3)
        fitted.paste(resized, (left, top))
    else:
        fitted = resized
    return fitted, Geometry(height, width, size[0] / width, size[1] / height, left, top)


def resized_size(size: tuple[int, int], rules: DecodeRules) -> tuple[int, int]:
    """Width and height of the whole image after the resize, before a crop or a border."""
    width, height = size
    match rules.resize:
        case Resize.NONE:
            return size
        case Resize.CROP:  # the short side at the target, the long one truncated
            side, short = max(rules.height, rules.width), max(1, min(size))
            return int(side * width / short), int(side * height / short)
        case Resize.LETTERBOX:
            scale = min(rules.width / width, rules.height / height)
            return max(1, round(width * scale)), max(1, round(height * scale))
        case _:
            return rules.width, rules.height


def scaled_size(size: tuple[int, int], target: tuple[int, int], reserve: int) -> tuple[int, int]:
    """The smallest size to decode a JPEG at under `fast` decoding.

    Both sides are divided by 8, 4, 2 or 1, always without a remainder: a last column that shows
    less than the others would shift the image by a fraction of a pixel. Either way round, the
    short side keeps `reserve` pixels for each one of the target's long side, so the EXIF
    orientation does not matter.

    Args:
        size: width and height of the whole image.
        target: width and height that it is then resized to; of a crop, that is cut out.
        reserve: pixels, along each side, that are left for each one of the target; 1 or more.

    Returns:
        Width and height; `size` where nothing can be saved.
    """
    width, height = size
    for divisor in _EIGHTHS:
        if width % divisor == height % divisor == 0 and (
            min(size) // divisor >= reserve * max(target)
        ):
            return width // divisor, height // divisor
    return size
