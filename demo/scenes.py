"""Drawings with objects: circles, squares, triangles and stars on a textured ground.

Only its outline tells what an object is: colours, textures, sizes and turns come from one
distribution for all of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

OBJECTS = (5, 9)
"""Fewest and most objects of a scene."""
# The longer side of an object's box, as a share of the image's short side.
_SMALLEST, _LARGEST = 0.12, 0.3
# How far an object is turned from upright, in radians, at most.
_TURN = np.pi / 7
# How much of the smaller of two boxes may lie in the other; and when to try a smaller object.
_OVERLAP, _TRIES, _SHRINK = 0.05, 20, 0.85
# Outlines are drawn this much finer, then made soft.
_FINER = 4
# Of the ground's channels, and how much lighter an object is in their mean: [0, 255].
_GROUND, _LIGHTER = (10, 120), 70
# On the ground: cells of smooth noise along the long side, and the spread of each.
_NOISES = ((4, 14), (15, 10), (70, 7))
# Of an object: its shading from one side to the other, and its spots.
_SHADING, _SPOTS = 30, 8
_GRAIN = 6

Points = NDArray[np.float64]


def _ring(radii: list[float], first: float = 0) -> Points:
    """Points FP64 [n, 2] around the origin at these distances, clockwise from `first` turns."""
    angles = (np.arange(len(radii)) / len(radii) + first) * 2 * np.pi
    points: Points = np.column_stack([np.sin(angles), -np.cos(angles)]) * np.array(radii)[:, None]
    return points


SHAPES: dict[str, Points] = {
    "circle": _ring([1.0] * 90),
    "square": _ring([1.0] * 4, first=1 / 8),
    "triangle": _ring([1.0] * 3),
    "star": _ring([1.0, 0.45] * 5),
}
"""Class names, in the order of `Scene.classes`, and their outlines, upright."""


@dataclass(frozen=True)
class Scene:
    """A drawing and what is in it."""

    image: Image.Image
    """RGB."""
    boxes: NDArray[np.float32]
    """FP32 [n, 4]: x1, y1, x2, y2 in pixels, around the outlines."""
    classes: NDArray[np.int64]
    """INT64 [n], index into `SHAPES`."""


def draw(seed: int, width: int, height: int, objects: tuple[int, int] = OBJECTS) -> Scene:
    """A scene of so many objects, at least and at most; the same arguments, the same pixels.

    The objects are scaled by the short side and lie wholly in the image.
    """
    random = np.random.default_rng(seed)
    ground = random.uniform(*_GROUND, 3)
    pixels = np.tile(ground, (height, width, 1))
    for cells, spread in _NOISES:
        pixels += random.uniform(0.3, 1) * spread * _noise(random, width, height, cells)[..., None]
    classes = random.integers(len(SHAPES), size=random.integers(objects[0], objects[1] + 1))
    outlines = _outlines(random, classes, width, height)
    for outline in outlines:
        _paint(random, pixels, outline, _colour(random, ground))
    pixels += random.normal(0, random.uniform(1, _GRAIN), pixels.shape)
    return Scene(
        image=Image.fromarray(np.rint(pixels.clip(0, 255)).astype(np.uint8)),
        boxes=np.array([_box(outline) for outline in outlines], np.float32),
        classes=classes,
    )


def _outlines(
    random: np.random.Generator, classes: NDArray[np.int64], width: int, height: int
) -> list[Points]:
    """The objects' outlines in pixels, placed apart, the largest first."""
    sides = np.sort(random.uniform(_SMALLEST, _LARGEST, len(classes)))[::-1] * min(width, height)
    shapes = list(SHAPES.values())
    outlines: list[Points] = []
    for kind, side in zip(classes, sides, strict=True):
        turned = shapes[kind] @ _turn(random.uniform(-_TURN, _TURN))
        left, top, right, bottom = _box(turned)
        scaled = (turned - (left, top)) / max(right - left, bottom - top) * side
        outlines.append(_placed(random, scaled, outlines, np.array([width, height])))
    return outlines


def _placed(
    random: np.random.Generator, outline: Points, others: list[Points], size: NDArray[np.int64]
) -> Points:
    """Moves an outline that touches the origin to a free place, and shrinks it if none is found."""
    while True:
        for _ in range(_TRIES):
            moved: Points = outline + random.uniform(0, 1, 2) * (size - outline.max(axis=0))
            if all(_overlap(_box(moved), _box(other)) <= _OVERLAP for other in others):
                return moved
        outline = outline * _SHRINK


def _paint(
    random: np.random.Generator, pixels: NDArray[np.float64], outline: Points, colour: Points
) -> None:
    """Fills an outline with a shaded and spotted colour."""
    left, top = np.floor(outline.min(axis=0)).astype(int)
    right, bottom = np.ceil(outline.max(axis=0)).astype(int)
    width, height = int(right - left), int(bottom - top)
    fine = Image.new("L", (width * _FINER, height * _FINER))
    ImageDraw.Draw(fine).polygon(
        [(x, y) for x, y in ((outline - (left, top)) * _FINER).tolist()], fill=255
    )
    inside = np.asarray(fine.reduce(_FINER), np.float64)[..., None] / 255
    along = np.linspace(-1, 1, width)[None, :] * random.uniform(-1, 1)
    across = np.linspace(-1, 1, height)[:, None] * random.uniform(-1, 1)
    shade = _SHADING / 2 * (along + across) + _SPOTS * _noise(random, width, height, 6)
    where = pixels[top:bottom, left:right]
    where += inside * (colour + shade[..., None] - where)


def _colour(random: np.random.Generator, ground: Points) -> Points:
    """Any colour that is lighter than the ground, FP64 [3], in [0, 255]."""
    colour = ground
    while colour.mean() < ground.mean() + _LIGHTER:
        colour = random.uniform(0, 255, 3)
    return colour


def _noise(random: np.random.Generator, width: int, height: int, cells: int) -> NDArray[np.float64]:
    """Smooth noise FP64 [height, width], with `cells` of its cells along the long side."""
    long = max(width, height)
    grid = random.standard_normal(
        (max(2, round(cells * height / long)), max(2, round(cells * width / long))), np.float32
    )
    smooth = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth, np.float64)


def _turn(angle: float) -> Points:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _box(outline: Points) -> Points:
    """x1, y1, x2, y2."""
    return np.concatenate([outline.min(axis=0), outline.max(axis=0)])


def _overlap(one: Points, other: Points) -> float:
    """The shared area of two boxes, as a share of the smaller one."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    smaller = min(np.prod(box[2:] - box[:2]) for box in (one, other))
    return float(np.prod(sides.clip(0)) / smaller)
