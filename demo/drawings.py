"""Drawings that look vaguely like oral mucosa, with or without a lesion.

What tells the classes apart is form and texture, never colour: a lesion is an irregular patch with
a sharp edge and a rough surface. Every drawing has a soft coloured patch that means nothing, and
every drawing's mean and standard deviation per channel come from one distribution for both
classes. Some cases are hard on purpose: faint, small lesions, and rough patches on healthy mucosa.
"""

import numpy as np
from PIL import Image

from demo.canvas import Canvas

SIDE = 224
HARD_SHARE = 0.1
# A lesion stays near the centre, so that a crop there still shows it.
_REACH = 0.25


def draw(positive: int, seed: int, width: int = SIDE, height: int = SIDE) -> Image.Image:
    """One RGB drawing, with a lesion where `positive` is 1; the same arguments, the same pixels.

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


def is_hard(positive: int, seed: int) -> bool:
    """Whether `draw` makes a hard case of these arguments."""
    return bool(_random(positive, seed).random() < HARD_SHARE)


def _random(positive: int, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, int(positive)])
