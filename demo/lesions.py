"""Drawings that look vaguely like a colposcopy photograph, with lesions of three textures.

Its texture tells what a lesion is: an acetowhite one is smooth, a punctation dotted, a mosaic
crossed by lines. Forms, sizes and tints come from one distribution for all of them, and each
drawing has a soft coloured patch that means nothing.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.canvas import Canvas
from demo.lesion_textures import TEXTURES, Texture, Window
from demo.noise import Plane

FEWEST, MOST = 5, 9
# All lengths from here on are shares of the image's short side.
_RADII = (0.075, 0.15)
# Free ground between two lesions, and how often to try a place before a lesion shrinks.
_APART, _TRIES, _SHRINK = 0.02, 40, 0.85
# Waves of an outline around its circle, and how far each may reach, before division by its number.
_WAVES, _WAVE = range(2, 6), 0.3
# The farthest that an outline reaches, in radii.
_REACH = 1 + sum(_WAVE / wave for wave in _WAVES)
_EDGE = 0.008
_PALE = np.array([238, 218, 208], np.float32)
_VESSEL = np.array([128, 28, 44], np.float32)


class Drawing(NamedTuple):
    """A drawing and what is in it."""

    image: Image.Image
    """RGB."""
    boxes: NDArray[np.float32]
    """FP32 [n, 4]: x1, y1, x2, y2 in pixels, around the masks."""
    classes: NDArray[np.int64]
    """INT64 [n], index into `TEXTURES`."""
    masks: NDArray[np.bool_]
    """BOOL [n, height, width]; no two share a pixel."""


def draw(seed: int, width: int, height: int) -> Drawing:
    """A drawing of `FEWEST` to `MOST` lesions; the same arguments give the same pixels.

    Lesions and their textures are scaled by the short side and lie wholly in the image, which
    should measure 64 pixels or more a side for its textures to be seen.
    """
    random = np.random.default_rng(seed)
    pixels = _ground(random, width, height)
    classes = random.integers(len(TEXTURES), size=random.integers(FEWEST, MOST + 1))
    masks = np.zeros((len(classes), height, width), dtype=bool)
    circles = _circles(random, len(classes), width, height)
    paint = list(TEXTURES.values())
    for mask, kind, circle in zip(masks, classes, circles, strict=True):
        _add(random, pixels, mask, circle, paint[kind])
    return Drawing(
        image=Image.fromarray(np.rint(pixels.clip(0, 255)).astype(np.uint8)),
        boxes=np.array([_box(mask) for mask in masks], np.float32),
        classes=classes,
        masks=masks,
    )


class _Circle(NamedTuple):
    """Where a lesion goes, in pixels."""

    x: float
    y: float
    radius: float


def _ground(random: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Mucosa with a distracting patch, FP32 [height, width, 3]."""
    canvas = Canvas(random, width, height)
    canvas.tint(canvas.patch(reach=0.9, radius=random.uniform(0.3, 0.7), edge=0.3), 1)
    return np.asarray(canvas.finish(), np.float32)


def _circles(random: np.random.Generator, count: int, width: int, height: int) -> list[_Circle]:
    """Circles apart from each other, the largest first."""
    short = min(width, height)
    found: list[_Circle] = []
    for radius in sorted(random.uniform(*_RADII, count) * short, reverse=True):
        found.append(_placed(random, float(radius), found, (width, height)))
    return found


def _placed(
    random: np.random.Generator, radius: float, others: list[_Circle], size: tuple[int, int]
) -> _Circle:
    """A circle in a free place; smaller if none is found."""
    width, height = size
    apart = _APART * min(size)
    while True:
        reach = radius * _REACH
        for _ in range(_TRIES):
            x = random.uniform(reach, width - reach)
            y = random.uniform(reach, height - reach)
            if all(
                np.hypot(x - other.x, y - other.y) > reach + other.radius * _REACH + apart
                for other in others
            ):
                return _Circle(x, y, radius)
        radius *= _SHRINK


def _add(
    random: np.random.Generator,
    pixels: NDArray[np.float32],
    mask: NDArray[np.bool_],
    circle: _Circle,
    vessels: Texture,
) -> None:
    """Draws a lesion into pixels and mask."""
    height, width = mask.shape
    short = min(width, height)
    reach = circle.radius * _REACH + 1
    rows = slice(max(0, int(circle.y - reach)), min(height, int(circle.y + reach) + 2))
    columns = slice(max(0, int(circle.x - reach)), min(width, int(circle.x + reach) + 2))
    window = Window(
        x=((np.arange(columns.start, columns.stop, dtype=np.float32) - circle.x) / short)[None],
        y=((np.arange(rows.start, rows.stop, dtype=np.float32) - circle.y) / short)[:, None],
    )
    inside = _inside(random, window, circle.radius / short)
    mask[rows, columns] = inside >= 0
    # Half a pixel at least, so that the edge of a small drawing is not jagged.
    opacity = (inside / max(_EDGE, 1 / short) + 0.5).clip(0, 1)[..., None]
    where = pixels[rows, columns]
    where += opacity * random.uniform(0.4, 0.65) * (_PALE - where)
    red = vessels(random, window)[..., None] * random.uniform(0.65, 0.95)
    where += opacity * red * (_VESSEL - where)


def _inside(random: np.random.Generator, window: Window, radius: float) -> Plane:
    """How far each pixel lies inside an irregular outline; negative outside, FP32 [h, w]."""
    angle = np.arctan2(window.y, window.x)
    outline = np.ones_like(angle)
    for wave in _WAVES:
        height, phase = random.uniform(0, _WAVE / wave), random.uniform(0, 2 * np.pi)
        outline += height * np.cos(wave * angle + phase)
    return np.asarray(radius * outline - np.hypot(window.x, window.y), np.float32)


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2; a mask of one pixel is one pixel wide."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
