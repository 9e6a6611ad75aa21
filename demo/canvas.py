"""The elements of a drawing: smooth noise, soft and sharp patches, roughness, colour."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.noise import Plane, smooth_noise

# Cells of noise across an image. The fine ones are two to four pixels of a drawing 224 wide.
_LIGHT, _SHADE, _FLESH, _VESSELS, _GLOSS = 3, 9, 5, 8, 24
_OUTLINE, _FRINGE = 7, 22
_FINE, _COARSE, _GRAIN = 100, 56, 110
# Directions in RGB in which a patch may differ: whitish, reddish, dark.
_TINTS = np.array([[16, 26, 26], [14, -20, -18], [-24, -24, -18]], np.float32)
# Each channel's mean and standard deviation, of pixels in [0, 255], and how far they vary.
_MEAN, _MEAN_SPREAD = np.array([190, 120, 116], np.float32), 12
_STD, _STD_SPREAD, _STD_CHANNEL_SPREAD = 23, 4, 1.5


class Canvas:
    """A drawing under way, from the numbers of one random generator.

    Coordinates run from -1 to 1 across the image, whatever its size and aspect.
    """

    def __init__(self, random: np.random.Generator, width: int, height: int) -> None:
        self._random = random
        self._size = (width, height)
        self._x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
        self._y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        self._planes = self._mucosa()

    def patch(self, *, reach: float, radius: float, edge: float) -> Plane:
        """An irregular patch: 1 inside, 0 outside, FP32 [height, width].

        Args:
            reach: how far its centre may lie from the image's.
            radius: about the distance from its centre to its outline.
            edge: width of the transition, as a share of the radius.
        """
        x, y = self._random.uniform(-reach, reach, 2)
        squash = self._random.uniform(0.75, 1.35)
        distance = np.sqrt(
            np.square((self._x - x) * squash) + np.square((self._y - y) / squash), dtype=np.float32
        )
        beyond = distance / radius - 1 + 0.22 * self._noise(_OUTLINE) + 0.1 * self._noise(_FRINGE)
        inside: Plane = (0.5 - 0.5 * np.tanh(beyond / edge)).astype(np.float32)
        return inside

    def tint(self, where: Plane, strength: float) -> None:
        """Colours a patch in a random direction."""
        tint = _TINTS[self._random.integers(len(_TINTS))] * strength
        self._planes += tint[:, None, None] * where

    def roughen(self, where: Plane, strength: float) -> None:
        """Gives a patch a rough surface of about this standard deviation."""
        bumps = 0.75 * (self._noise(_FINE) + self._noise(_COARSE))
        self._planes += where * bumps * np.float32(strength)

    def finish(self) -> Image.Image:
        """Adds a faint grain and sets each channel's mean and standard deviation anew.

        The values come from one distribution for all drawings, so colour statistics tell nothing
        of what was drawn.
        """
        self._planes += self._noise(_GRAIN) * np.float32(self._random.uniform(1, 4))
        means = _MEAN + self._random.uniform(-_MEAN_SPREAD, _MEAN_SPREAD, 3)
        std = _STD + self._random.uniform(-_STD_SPREAD, _STD_SPREAD)
        stds = std + self._random.uniform(-_STD_CHANNEL_SPREAD, _STD_CHANNEL_SPREAD, 3)
        planes = self._planes - self._planes.mean((1, 2), keepdims=True)
        planes *= _per_channel(stds) / planes.std((1, 2), keepdims=True)
        planes += _per_channel(means)
        pixels = np.rint(planes.clip(0, 255)).astype(np.uint8)
        return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))

    def _mucosa(self) -> NDArray[np.float32]:
        """Uneven light, flesh, fine vessels and wet gloss, FP32 [3, height, width]."""
        random = self._random
        light = 13 * self._noise(_LIGHT) + 6 * self._noise(_SHADE)
        light += np.maximum(self._noise(_GLOSS) - 1.7, 0) * random.uniform(5, 30)
        flesh = 4 * self._noise(_FLESH)
        # A level line of smooth noise winds like a vessel.
        vessels = np.exp(-np.square(self._noise(_VESSELS) / 0.07)) * random.uniform(4, 12)
        pale = light - flesh - vessels
        planes = np.stack([light + flesh, pale, pale + 0.2 * vessels])
        return np.asarray(planes, dtype=np.float32)

    def _noise(self, cells: int) -> Plane:
        return smooth_noise(self._random, cells, self._size)


def _per_channel(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)[:, None, None]
