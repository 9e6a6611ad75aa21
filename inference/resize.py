"""An upright image to the size that a model sees, and how its coordinates moved."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.recipe import Recipe


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


def fit(image: Image.Image, recipe: Recipe, shrunk: int = 1) -> tuple[Image.Image, Geometry]:
    """Resizes as the recipe says, by Pillow.

    Args:
        image: upright.
        recipe: how.
        shrunk: what the whole image's sides were divided by already; the geometry is the whole's.
    """
    width, height = image.width * shrunk, image.height * shrunk
    size = resized_size((width, height), recipe)
    resized = image if recipe.resize == "none" else image.resize(size, recipe.interpolation)
    left = top = 0
    if recipe.resize == "crop":
        # round() as in torchvision's CenterCrop: half a pixel goes to the even side.
        left = -round((resized.width - recipe.width) / 2)
        top = -round((resized.height - recipe.height) / 2)
        fitted = resized.crop((-left, -top, recipe.width - left, recipe.height - top))
    elif recipe.resize == "letterbox":
        left, top = (recipe.width - resized.width) // 2, (recipe.height - resized.height) // 2
        fitted = Image.new("RGB", (recipe.width, recipe.height), (recipe.fill,) * 3)
        fitted.paste(resized, (left, top))
    else:
        fitted = resized
    return fitted, Geometry(height, width, size[0] / width, size[1] / height, left, top)


def resized_size(size: tuple[int, int], recipe: Recipe) -> tuple[int, int]:
    """Width and height of the whole image after the resize, before a crop or a border."""
    width, height = size
    match recipe.resize:
        case "none":
            return size
        case "crop":  # the short side at the target, the long one truncated
            side, short = max(recipe.height, recipe.width), max(1, min(size))
            return int(side * width / short), int(side * height / short)
        case "letterbox":
            scale = min(recipe.width / width, recipe.height / height)
            return max(1, round(width * scale)), max(1, round(height * scale))
        case _:
            return recipe.width, recipe.height
