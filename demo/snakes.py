"""Drawings of a snake on some ground, of one of ten species.

The pattern on its back and its body colour tell the species; the light varies. The
body winds through the middle of the image, so that a crop there still shows the pattern. Some
cases are hard on purpose: faint markings, a thin body, leaves in front of it.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.noise import Plane, smooth_noise
from demo.snake_patterns import MARKINGS

SIDE = 320
HARD_SHARE = 0.04
SPECIES = len(MARKINGS)
# Cells of noise across an image.
_LUMPS, _LITTER, _PEBBLES, _GRAIN, _LEAVES = 4, 26, 90, 150, 13
# Sand, slate, stone, wet gravel, in RGB: paler in colour than any snake.
_GROUNDS = np.array([[172, 168, 160], [104, 106, 110], [134, 134, 132], [92, 90, 88]], np.float32)
_LEAF = np.array([78, 82, 44], np.float32)
_COLOUR_SPREAD = 10
_CURVE_POINTS = 400
# Half of the head's length, in half widths of the body.
_HEAD = 1.1
_EDGE_PIXELS = 1.2


def draw(species: int, seed: int, width: int = SIDE, height: int = SIDE) -> Image.Image:
    """One RGB drawing; the same arguments give the same pixels.

    Args:
        species: index into the pipeline's classes, below `SPECIES`.
        seed: 0 or more.
        width: of the image; forms scale with it.
        height: likewise.
    """
    random = _random(species, seed)
    hard = random.random() < HARD_SHARE
    size = (width, height)
    planes = _ground(random, size)
    along, across, reach, radius = _body(random, size, thin=hard)
    inside = ((1 - np.abs(across)) * radius * max(size) / 2 / _EDGE_PIXELS + 0.5).clip(0, 1)
    inside *= reach
    down, right = round(height * 0.02), round(width * 0.015)
    planes[:, down:, right:] *= 1 - 0.45 * inside[: height - down, : width - right]
    skin = _skin(random, species, along / radius, across, contrast=0.45 if hard else 1)
    skin += smooth_noise(random, _GRAIN, size) * random.uniform(4, 9)
    # A round body is darker towards its sides.
    skin *= 0.5 + 0.5 * np.sqrt(1 - np.square(across.clip(-1, 1)))
    planes += (skin - planes) * inside
    if hard:
        leaves = ((smooth_noise(random, _LEAVES, size) - 0.75) * 8).clip(0, 1)
        planes += (_LEAF[:, None, None] * random.uniform(0.7, 1.4) - planes) * leaves
    planes *= random.uniform(0.75, 1.2) * (1 + 0.08 * smooth_noise(random, _LUMPS, size))
    pixels = np.rint(planes.clip(0, 255)).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def is_hard(species: int, seed: int) -> bool:
    """Whether `draw` makes a hard case of these arguments."""
    return bool(_random(species, seed).random() < HARD_SHARE)


def _random(species: int, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, species])


def _ground(random: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """Uneven ground, FP32 [3, height, width]."""
    colour = random.choice(_GROUNDS) + random.uniform(-_COLOUR_SPREAD, _COLOUR_SPREAD, 3)
    bumps = smooth_noise(random, _LITTER, size) * random.uniform(8, 20)
    bumps += smooth_noise(random, _PEBBLES, size) * random.uniform(6, 16)
    tinted = smooth_noise(random, _LITTER, size) * random.uniform(0, 10)
    planes = np.stack([bumps + tinted, bumps, bumps - tinted]) + _per_channel(colour)
    return np.asarray(planes, np.float32)


def _body(
    random: np.random.Generator, size: tuple[int, int], *, thin: bool
) -> tuple[Plane, Plane, Plane, float]:
    """Where each pixel lies on a winding body.

    Returns:
        Distance along the body from the snout, place across it (inside where in [-1, 1]), whether
        it lies between snout and tail in [0, 1], each FP32 [height, width]; and the half width.
        Lengths in halves of an image's side.
    """
    turned = random.uniform(0, 2 * np.pi)
    cos, sin = np.float32(np.cos(turned)), np.float32(np.sin(turned))
    x = np.linspace(-1, 1, size[0], dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, size[1], dtype=np.float32)[:, None]
    forward, sideways = x * cos + y * sin, y * cos - x * sin

    # The centre line, sideways = f(forward): two waves.
    radius = random.uniform(0.12, 0.14) if thin else random.uniform(0.15, 0.21)
    end = random.uniform(0.85, 1.15)
    line = np.linspace(-1.5, 1.5, _CURVE_POINTS)
    heights, slopes = np.full_like(line, random.uniform(-0.08, 0.08)), np.zeros_like(line)
    for rate, steepness in ((random.uniform(3.5, 6), 0.9), (random.uniform(1, 3), 0.4)):
        phase, slope = random.uniform(0, 2 * np.pi), random.uniform(0.5, 1) * steepness
        heights += slope / rate * np.sin(rate * line + phase)
        slopes += slope * np.cos(rate * line + phase)
    heights -= np.interp(0, line, heights) * 0.8
    lengths = np.cumsum(np.hypot(1, slopes)) * (line[1] - line[0])
    snout = np.interp(-end, line, lengths)

    def at(places: Plane, values: NDArray[np.float64]) -> Plane:
        # The line's points lie evenly: indexing is quicker than np.interp.
        step = (places + np.float32(1.5)) * np.float32((_CURVE_POINTS - 1) / 3)
        nearest = np.rint(step).clip(0, _CURVE_POINTS - 1).astype(np.intp)
        return np.asarray(values[nearest], np.float32)

    # The nearest point of the line, by one step of Newton's method along its tangent.
    rise = at(forward, slopes)
    foot = forward + rise * (sideways - at(forward, heights)) / (1 + np.square(rise))
    away = (sideways - at(foot, heights)) / np.sqrt(1 + np.square(at(foot, slopes)))
    along = at(foot, lengths) - np.float32(snout)
    tail = np.float32(np.interp(end, line, lengths) - snout)
    across = away / (np.float32(radius) * _width(along / tail, along / np.float32(radius)))
    reach = ((along > 0) & (along < tail)).astype(np.float32)
    return along, across, reach, radius


def _width(share: Plane, snout: Plane) -> Plane:
    """Half width at a share of the length and a distance from the snout, of the widest's."""
    head = 0.95 * np.sqrt((1 - np.square(snout / _HEAD - 1)).clip(1e-3, 1))
    trunk = np.sqrt((1.02 - share).clip(1e-3, 0.55) / 0.55) * (snout / 6 + 0.5).clip(0, 1)
    behind = np.maximum(trunk, head * (snout < 2 * _HEAD))
    return np.asarray(np.where(snout < _HEAD, head, behind), np.float32)


def _skin(
    random: np.random.Generator, species: int, along: Plane, across: Plane, *, contrast: float
) -> NDArray[np.float32]:
    """The patterned skin, FP32 [3, height, width]; `along` in half widths."""
    markings = MARKINGS[species]
    colour = np.array(markings.ground) + random.uniform(-_COLOUR_SPREAD, _COLOUR_SPREAD, 3)
    period = markings.period * random.uniform(0.85, 1.2)
    skin = np.zeros((3, *across.shape), np.float32) + _per_channel(colour)
    strength = contrast * random.uniform(0.75, 1)
    for tint, where in markings.pattern((along / period).astype(np.float32), across, along):
        skin += (_per_channel(np.array(tint)) - skin) * (where * np.float32(strength))
    return skin


def _per_channel(colour: NDArray[np.generic]) -> NDArray[np.float32]:
    return colour.astype(np.float32)[:, None, None]
