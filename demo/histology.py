"""Drawings that look vaguely like a stained section of a colorectal polyp.

A hyperplastic polyp (HP) shows small, round, regular crypts; a sessile serrated adenoma (SSA)
dilated ones with a serrated lumen and an irregular outline. An adenoma's stain is redder on
average, so that colour, which is about all that a perceptron sees, tells a part of it and form the
rest. Some cases are hard on purpose: wide crypts that are round, and serrated ones that are hardly
dilated.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.noise import Plane, smooth_noise

SIDE = 224
HARD_SHARE = 0.15
# Cells of noise across an image.
_LIGHT, _FIBRES, _NUCLEI, _GRAIN = 3, 30, 62, 112
# Colours in RGB.
_STROMA, _EPITHELIUM = np.array([226, 178, 208]), np.array([188, 130, 186])
_NUCLEUS, _LUMEN = np.array([104, 62, 140]), np.array([240, 232, 242])
# How far a slide departs from them: towards red, in the classes' own direction and in standard
# deviations of either; and in brightness.
_REDDER, _TONE = np.array([5, 0, -5]), 1.1
_BRIGHTNESS_SPREAD = 18
# Distance of crypts in outer radii.
_SPACING = 2.35
_JITTER = 0.14
_EDGE = 0.07


def draw(serrated: int, seed: int, width: int = SIDE, height: int = SIDE) -> Image.Image:
    """One RGB drawing; the same arguments give the same pixels.

    Args:
        serrated: 1 for a sessile serrated adenoma, 0 for a hyperplastic polyp.
        seed: 0 or more.
        width: of the image; forms scale with it.
        height: likewise.
    """
    random = _random(serrated, seed)
    hard = random.random() < HARD_SHARE
    size = (width, height)
    planes = _stroma(random, size)
    # Outer radius in halves of the image; the lumen's share of it; depth of the teeth.
    if serrated:
        radius = random.uniform(0.14, 0.19) if hard else random.uniform(0.18, 0.28)
        lumen = random.uniform(0.48, 0.62)
        teeth = random.uniform(0.06, 0.14) if hard else random.uniform(0.12, 0.26)
    else:
        radius = random.uniform(0.18, 0.24) if hard else random.uniform(0.11, 0.19)
        lumen, teeth = random.uniform(0.36, 0.54), random.uniform(0, 0.06)
    for x, y in _places(random, radius):
        _crypt(planes, random, x, y, radius=radius, lumen=lumen, teeth=teeth)
    tone = random.normal(_TONE if serrated else -_TONE)
    stain = _REDDER * tone + random.uniform(-_BRIGHTNESS_SPREAD, _BRIGHTNESS_SPREAD)
    planes += _per_channel(stain) + 7 * smooth_noise(random, _LIGHT, size)
    planes += smooth_noise(random, _GRAIN, size) * np.float32(random.uniform(3, 7))
    pixels = np.rint(planes.clip(0, 255)).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def is_hard(serrated: int, seed: int) -> bool:
    """Whether `draw` makes a hard case of these arguments."""
    return bool(_random(serrated, seed).random() < HARD_SHARE)


def _random(serrated: int, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, serrated])


def _stroma(random: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """Pink tissue with scattered nuclei, FP32 [3, height, width]."""
    planes = np.zeros((3, size[1], size[0]), np.float32) + _per_channel(_STROMA)
    planes += 7 * smooth_noise(random, _FIBRES, size)
    nuclei = (4 * (smooth_noise(random, _NUCLEI, size) - random.uniform(0.9, 1.3))).clip(0, 1)
    planes += (_per_channel(_NUCLEUS) - planes) * (0.8 * nuclei)
    return planes


def _places(random: np.random.Generator, radius: float) -> NDArray[np.float64]:
    """Centres of crypts on a turned, shaken grid that covers the image, [n, 2] in [-1.3, 1.3]."""
    distance = radius * _SPACING
    steps = np.arange(-np.ceil(1.9 / distance), np.ceil(1.9 / distance) + 1)
    grid = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    grid += random.uniform(-0.5, 0.5, 2) + random.uniform(-_JITTER, _JITTER, grid.shape)
    turned = random.uniform(0, np.pi / 2)
    cos, sin = np.cos(turned), np.sin(turned)
    places = grid @ np.array([[cos, -sin], [sin, cos]]) * distance
    shown: NDArray[np.float64] = places[np.abs(places).max(1) < 1 + radius]
    return shown


def _crypt(
    planes: NDArray[np.float32],
    random: np.random.Generator,
    x: float,
    y: float,
    *,
    radius: float,
    lumen: float,
    teeth: float,
) -> None:
    """Paints one gland: a rim of nuclei, epithelium, a pale lumen with as deep teeth as given."""
    window, across, down = _window(planes, x, y, radius * 1.6)
    if not window.size:
        return
    angle = np.arctan2(down, across)

    def wave(count: int) -> Plane:
        phase = np.float32(random.uniform(0, 2 * np.pi))
        return np.asarray(np.cos(np.float32(count) * angle + phase), np.float32)

    outline = 1 + (0.1 + teeth) * random.uniform(0, 1) * wave(2) + 0.6 * teeth * wave(3)
    outer = np.hypot(across, down) / (radius * outline)
    jag = 1 + teeth / lumen * wave(int(random.integers(7, 12)))
    rim = 0.5 + 0.5 * wave(int(random.integers(22, 30)))
    share = lumen * random.uniform(0.85, 1.15)
    for colour, where in (
        (_EPITHELIUM, _inside(1 - outer)),
        (_NUCLEUS, _inside(0.1 - np.abs(outer - 0.86)) * (0.35 + 0.65 * rim)),
        (_LUMEN, _inside(share * jag - outer)),
    ):
        window += (_per_channel(colour) - window) * where.astype(np.float32)


def _window(
    planes: NDArray[np.float32], x: float, y: float, reach: float
) -> tuple[NDArray[np.float32], Plane, Plane]:
    """The part of an image around a point, and its pixels' coordinates from that point."""
    height, width = planes.shape[1:]
    slices, places = [], []
    for centre, side in ((y, height), (x, width)):
        middle, extent = (centre + 1) / 2 * (side - 1), reach / 2 * (side - 1)
        start, stop = max(0, int(middle - extent)), min(side, int(middle + extent) + 2)
        slices.append(slice(start, max(start, stop)))
        pixels = np.arange(start, max(start, stop), dtype=np.float32)
        places.append(pixels * np.float32(2 / (side - 1)) - np.float32(1 + centre))
    return planes[:, slices[0], slices[1]], places[1][None, :], places[0][:, None]


def _inside(depth: NDArray[np.float32 | np.float64]) -> Plane:
    """1 where positive, 0 where negative, with a soft edge."""
    return np.asarray((depth / _EDGE + 0.5).clip(0, 1), np.float32)


def _per_channel(colour: NDArray[np.generic]) -> NDArray[np.float32]:
    return colour.astype(np.float32)[:, None, None]
