"""Draws detections over their photo, as a PNG.

The picture has the photograph's aspect, not always its size: the long side is at most 2048 pixels
(screens show no more, and a PNG of 12 megapixels is heavy), and a small photograph is enlarged
until its short side has 448, so that a label fits beside what it names. Lines and letters grow
with the picture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inference.decode import upright
from inference.detections import Detections
from inference.labels import Box, write
from inference.masks import Stretched
from inference.opening import open_image
from inference.outlines import outlines
from inference.palette import BLACK, colour

LONGEST = 2048
SHORTEST = 448
_ALPHA = 90
"""Of a mask, in 255: what lies under it stays visible."""
_LINES_ON_A_SIDE = 400
_COMPRESSION = 3
"""Of 9: more takes several times as long for some percent."""


@dataclass(frozen=True)
class Photograph:
    """A photograph at the size of its picture, RGB and upright."""

    picture: Image.Image
    size: tuple[int, int]
    """Width and height of the photograph itself."""


def photograph(encoded: bytes) -> Photograph:
    """Decodes what `decode` has read without refusing it."""
    with open_image(encoded) as image:
        whole = upright(image, encoded)
        size = picture_size(whole.size)
        picture = whole.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return Photograph(picture, whole.size)


def draw(
    encoded: bytes,
    found: Detections,
    classes: tuple[str, ...],
    read: Callable[[bytes], Photograph] = photograph,
) -> bytes:
    """The detections over the encoded image they were found in, as a PNG.

    Args:
        encoded: what `decode` has read without refusing it.
        found: in pixels of the upright image.
        classes: names of all classes.
        read: `photograph`, or what calls it under limits.
    """
    photo = read(encoded)
    picture, size = photo.picture, photo.picture.size
    scale = np.array(size * 2, np.float32) / np.array(photo.size * 2, np.float32)
    line = max(2, round((size[0] * size[1]) ** 0.5 / _LINES_ON_A_SIDE))
    if found.masks is not None:
        picture = _with_masks(picture, found, found.masks, scale, line)
    boxes: list[Box] = [tuple(box) for box in (found.boxes * scale).tolist()]
    pen = ImageDraw.Draw(picture)
    for box, index in reversed(list(zip(boxes, found.classes, strict=True))):  # the surest on top
        _outline(pen, box, int(index), line)
    names = [
        f"{classes[index]} {score:.2f}"
        for index, score in zip(found.classes, found.scores, strict=True)
    ]
    colours = [colour(int(index)) for index in found.classes]
    write(pen, size, list(zip(names, boxes, colours, strict=True)))
    file = BytesIO()
    picture.save(file, "PNG", compress_level=_COMPRESSION)
    return file.getvalue()


def picture_size(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the picture for a photograph's."""
    scale = min(LONGEST / max(size), max(1.0, SHORTEST / min(size)))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _with_masks(
    picture: Image.Image,
    found: Detections,
    masks: NDArray[np.float32],
    scale: NDArray[np.float32],
    line: int,
) -> Image.Image:
    layer = Image.new("RGBA", picture.size)
    pen = ImageDraw.Draw(layer)
    frame = (picture.height, picture.width)
    for index in reversed(range(len(masks))):
        rgb = colour(int(found.classes[index]))
        mask = Stretched.over(masks[index], found.mask_boxes[index] * scale, frame)
        window = mask.window()
        if window.inside.size:
            inside = Image.fromarray(np.ascontiguousarray(window.inside).astype(np.uint8) * 255)
            layer.paste((*rgb, _ALPHA), (window.left, window.top), inside)
        for points in outlines(mask):
            pen.line([*points, *points[:2]], (*rgb, 255), width=max(1, line // 2))
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def _outline(pen: ImageDraw.ImageDraw, box: Box, index: int, line: int) -> None:
    """A frame in the class's colour, with a black edge that shows on any ground."""
    right, bottom = pen.im.size[0] - 1, pen.im.size[1] - 1
    left, top = min(round(box[0]), right), min(round(box[1]), bottom)
    right, bottom = max(left, min(round(box[2]), right)), max(top, min(round(box[3]), bottom))
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=BLACK, width=line + 2)
    pen.rectangle((left, top, right, bottom), outline=colour(index), width=line)
