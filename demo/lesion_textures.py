"""The three textures of lesions: where the vessels of each lie."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from demo.noise import Plane

# All lengths are shares of the image's short side.
# Between dots or cells; a dot's radius and a line's half width.
_DOT_SPACING, _DOT = 0.034, 0.0085
_CELL_SPACING, _LINE = 0.06, 0.0065
_JITTER = 0.25


class Window(NamedTuple):
    """The part of an image that a lesion is drawn in."""

    x: Plane
    """FP32 [1, w], from the lesion's centre, as a share of the image's short side."""
    y: Plane
    """FP32 [h, 1]."""


Texture = Callable[[np.random.Generator, Window], Plane]
"""Where there are vessels: FP32 [h, w] in [0, 1]."""


def _smooth(_random: np.random.Generator, window: Window) -> Plane:
    return np.zeros((len(window.y), window.x.shape[1]), np.float32)


def _dotted(random: np.random.Generator, window: Window) -> Plane:
    nearest, _ = _distances(random, window, _DOT_SPACING)
    return _bump(nearest / _DOT)


def _lined(random: np.random.Generator, window: Window) -> Plane:
    nearest, second = _distances(random, window, _CELL_SPACING)
    # Half the difference is about the distance to the border between two cells.
    return _bump((second - nearest) / 2 / _LINE)


def _bump(distance: Plane) -> Plane:
    """1 at 0, falling like a normal distribution."""
    return np.asarray(np.exp(-np.square(distance) / 2), np.float32)


def _distances(random: np.random.Generator, window: Window, spacing: float) -> tuple[Plane, Plane]:
    """From each pixel to the nearest point of an uneven grid, and to the second nearest."""
    x, y = np.meshgrid(
        np.arange(window.x.min() - spacing, window.x.max() + 2 * spacing, spacing),
        np.arange(window.y.min() - spacing, window.y.max() + 2 * spacing, spacing),
    )
    x = x + random.uniform(-_JITTER, _JITTER, x.shape) * spacing
    y = y + random.uniform(-_JITTER, _JITTER, y.shape) * spacing
    nearest = np.full((len(window.y), window.x.shape[1]), np.inf, np.float32)
    second = nearest.copy()
    for px, py in zip(x.ravel(), y.ravel(), strict=True):
        distance = np.hypot(window.x - np.float32(px), window.y - np.float32(py))
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    return nearest, second


TEXTURES: dict[str, Texture] = {
    "acetowhite": _smooth,
    "punctation": _dotted,
    "mosaic": _lined,
}
"""Class names, in the order of a drawing's labels, and their textures."""
