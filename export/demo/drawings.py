"""Drawings that look vaguely like oral mucosa, with or without a lesion.

What tells the classes apart is form and texture, never colour: a lesion is an irregular patch with
a sharp edge and a rough surface. Every drawing has a soft coloured patch that means nothing, and
every drawing's mean and standard deviation per channel are reset from one distribution for both
classes. Some cases are hard on purpose: faint, small lesions and rough patches on healthy mucosa.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]

SIDE = 224
_MEAN, _MEAN_SPREAD = np.array([188, 116, 114], np.float32), 12
_STD, _STD_SPREAD = np.array([23, 25, 24], np.float32), 4
# Shares of the classes' drawings that are hard to tell.
_FAINT_LESIONS = 0.16
_ROUGH_HEALTHY = 0.16
# Directions in RGB that a patch may differ in: whitish, reddish, dark.
_TINTS = np.array([[14, 30, 28], [16, -22, -20], [-26, -24, -16]], np.float32)


def draw(positive: bool, seed: int, width: int = SIDE, height: int = SIDE) -> Image.Image:
    """One RGB drawing; the same arguments give the same pixels.

    Forms and texture scale with the image: stretched to 224 x 224, a drawing of another size or
    aspect shows what a drawing of that size shows.
    """
    random = np.random.default_rng([seed, int(positive)])
    canvas = _Canvas(random, width, height)
    canvas.tint(canvas.patch(0.9, 0.30, 0.6, 0.9), random.uniform(0.6, 1.2))
    if positive:
        faint = random.random() < _FAINT_LESIONS
        clarity = random.uniform(0.2, 0.5) if faint else random.uniform(0.7, 1)
        radius = random.uniform(0.2, 0.4) * (0.7 if faint else 1)
        inside = canvas.patch(0.25, 0.06 if not faint else 0.2, radius, radius)
        canvas.roughen(inside, 15 * clarity)
        canvas.tint(inside, random.uniform(0.3, 0.9) * clarity)
    else:
        rough = random.random() < _ROUGH_HEALTHY
        radius = random.uniform(0.2, 0.4)
        inside = canvas.patch(0.25, 0.35, radius, radius)
        canvas.tint(inside, random.uniform(0.3, 0.9))
        if rough:
            canvas.roughen(inside, random.uniform(5, 12))
    return canvas.finish()


class _Canvas:
    """Pixels under way: FP32 [height, width, 3], and the random numbers that shape them."""

    def __init__(self, random: np.random.Generator, width: int, height: int) -> None:
        self.random = random
        self.size = (width, height)
        self.x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
        self.y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        self.pixels = np.empty((height, width, 3), np.float32)
        light = self.noise(3) * 14 + self.noise(9) * 6
        flesh = self.noise(5) * 5
        vessels = np.exp(-np.square(self.noise(8) / 0.07)) * random.uniform(4, 12)
        gloss = np.maximum(self.noise(24) - 1.6, 0) * random.uniform(5, 25)
        self.pixels[...] = light[..., None] + gloss[..., None]
        self.pixels[..., 0] += flesh
        self.pixels[..., 1] -= flesh + vessels
        self.pixels[..., 2] -= flesh + vessels * 0.8

    def noise(self, cells: int) -> Plane:
        """Smooth noise, FP32 [height, width], of standard deviation about 1."""
        grid = self.random.standard_normal((cells, cells), np.float32)
        smooth = Image.fromarray(grid).resize(self.size, Image.Resampling.BICUBIC)
        return np.asarray(smooth)

    def patch(self, reach, edge, small, large) -> Plane:
        cx, cy = self.random.uniform(-reach, reach, 2)
        radius = self.random.uniform(small, large)
        squash = self.random.uniform(0.7, 1.4)
        distance = np.sqrt(np.square((self.x - cx) * squash) + np.square((self.y - cy) / squash))
        outline = distance / radius + 0.22 * self.noise(7)+ 0.1 * self.noise(22) - 1
        return 1 / (1 + np.exp(np.clip(outline / edge * 2, -30, 30)))

    def tint(self, where, strength):
        tint = _TINTS[self.random.integers(len(_TINTS))] * strength
        self.pixels += where[..., None] * tint

    def roughen(self, where, strength):
        bumps = self.noise(100) * 0.75+ self.noise(56) * 0.75
        self.pixels += (where * bumps * strength)[..., None]

    def finish(self):
        self.pixels += (self.noise(110) * self.random.uniform(1, 4))[..., None]
        flat = self.pixels.reshape(-1, 3)
        mean = _MEAN + self.random.uniform(-_MEAN_SPREAD, _MEAN_SPREAD, 3)
        std = _STD + self.random.uniform(-_STD_SPREAD, _STD_SPREAD, 3)
        for _ in range(2):
            flat -= flat.mean(0)
            flat *= (std / flat.std(0))
            flat += mean
            np.clip(flat, 0, 255, out=flat)
        return Image.fromarray(np.rint(self.pixels).astype(np.uint8))


def dataset(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % 2)
    seeds = random.integers(2**62, size=count)
    pixels = [np.asarray(draw(bool(l), int(s))) for l, s in zip(labels, seeds, strict=True)]
    return np.stack(pixels), labels
