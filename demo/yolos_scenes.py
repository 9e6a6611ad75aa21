"""Drawings of scenes at the size that is served, as tensors for training and evaluation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from demo import scenes
from inference.resize import fit
from inference.rules import DecodeRules

NONE = -1
"""Class of a place that no object takes."""
# Width and height of drawings, in turns, before they are put into the size that is served.
_SIZES = ((416, 416), (640, 480), (300, 500), (640, 360))


@dataclass(frozen=True)
class Scenes:
    """N drawings as they are served, with room for n objects each, the largest first."""

    pixels: torch.Tensor
    """UINT8 [N, H, W, 3]."""
    boxes: torch.Tensor
    """FP32 [N, n, 4]: x1, y1, x2, y2 as shares of width and height."""
    classes: torch.Tensor
    """INT64 [N, n], `NONE` where there is no object."""

    def at(self, chosen: torch.Tensor) -> "Scenes":
        """Those of these indices."""
        return Scenes(self.pixels[chosen], self.boxes[chosen], self.classes[chosen])


def drawn(
    count: int,
    seed: int,
    rules: DecodeRules,
    on_drawing: Callable[[], None] = lambda: None,
    objects: tuple[int, int] = scenes.OBJECTS,
) -> Scenes:
    """Scenes of several sizes, letterboxed; two seeds share none."""
    pixels = np.empty((count, rules.height, rules.width, 3), np.uint8)
    boxes = np.zeros((count, objects[1], 4), np.float32)
    classes = np.full((count, objects[1]), NONE)
    seeds = np.random.default_rng(seed).integers(2**62, size=count).tolist()
    for index, number in enumerate(seeds):
        scene = scenes.draw(number, *_SIZES[index % len(_SIZES)], objects)
        pixels[index] = np.asarray(fit(scene.image, rules)[0])
        there = slice(len(scene.classes))
        boxes[index, there] = _shares(scene.boxes, scene.image, rules.width, rules.height)
        classes[index, there] = scene.classes
        on_drawing()
    return Scenes(*map(torch.from_numpy, (pixels, boxes, classes)))


def _shares(
    boxes: NDArray[np.float32], image: Image.Image, width: int, height: int
) -> NDArray[np.float32]:
    """Boxes in an image as shares of the letterbox that it is put into."""
    scale = min(width / image.width, height / image.height)
    inner = np.array([round(image.width * scale), round(image.height * scale)])
    corner = (np.array([width, height]) - inner) // 2
    scaled = boxes * np.tile(inner / image.size, 2) + np.tile(corner, 2)
    return np.asarray(scaled / (width, height, width, height), np.float32)
