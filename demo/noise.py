"""Smooth random noise, the base of the surfaces in all drawings."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]


def smooth_noise(random: np.random.Generator, cells: int, size: tuple[int, int]) -> Plane:
    """Noise of `cells` a side, FP32 [height, width], standard deviation about 0.8.

    Args:
        random: where its numbers come from.
        cells: how many independent values across the image, whatever its size.
        size: width and height.
    """
    grid = random.standard_normal((cells, cells), np.float32)
    return np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC))
