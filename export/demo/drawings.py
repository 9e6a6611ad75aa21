"""Drawings that look vaguely like oral mucosa, with or without a lesion.

What tells the classes apart is form and texture, never colour: a lesion is an irregular patch with
a sharp edge and a rough surface. Every drawing has a soft coloured patch that means nothing, and
every drawing's mean and standard deviation per channel come from one distribution for both
classes. Some cases are hard on purpose: faint, small lesions, and rough patches on healthy mucosa.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.demo.canvas import Canvas

SIDE = 224
HARD_SHARE = 0.1
# A lesion stays near the centre, so that a crop there still shows it.
_REACH = 0.25


def draw(positive: bool, seed: int, width: int = SIDE, height: int = SIDE) -> Image.Image:
    """One RGB drawing; the same arguments give the same pixels.

    Forms and texture scale with the image: stretched to 224 x 224, a drawing of another size or
    aspect shows what a drawing of that size shows.
    """
    random = _random(positive, seed)
    hard = random.random() < HARD_SHARE
    canvas = Canvas(random, width, height)
    canvas.tint(canvas.patch(reach=0.9, radius=random.uniform(0.5, 0.9), edge=0.3), 1)
    radius = random.uniform(0.2, 0.4)
    if positive:
        clarity = random.uniform(0.35, 0.7) if hard else random.uniform(0.7, 1)
        if hard:
            radius *= 0.7
        patch = canvas.patch(reach=_REACH, radius=radius, edge=0.15 if hard else 0.06)
        canvas.roughen(patch, 15 * clarity)
    else:
        patch = canvas.patch(reach=_REACH, radius=radius, edge=0.35)
        if hard:
            canvas.roughen(patch, random.uniform(3, 8))
    canvas.tint(patch, random.uniform(0.3, 0.9))
    return canvas.finish()


def is_hard(positive: bool, seed: int) -> bool:
    """Whether `draw` makes a hard case of these arguments."""
    return bool(_random(positive, seed).random() < HARD_SHARE)


def cases(count: int, seed: int) -> list[tuple[bool, int]]:
    """Arguments for `draw`: as many of each class, in random order."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % 2)
    seeds = random.integers(2**62, size=count)
    return [(bool(label), int(number)) for label, number in zip(labels, seeds, strict=True)]


def dataset(
    count: int,
    seed: int,
    width: int = SIDE,
    height: int = SIDE,
    on_image: Callable[[], None] = lambda: None,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Drawings UINT8 [count, height, width, 3] and labels INT64 [count], 1 for a lesion."""
    pixels = np.empty((count, height, width, 3), np.uint8)
    labels = np.empty(count, np.int64)
    for index, (positive, number) in enumerate(cases(count, seed)):
        pixels[index] = np.asarray(draw(positive, number, width, height))
        labels[index] = positive
        on_image()
    return pixels, labels


def _random(positive: bool, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, int(positive)])
