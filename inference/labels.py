"""What each box is, written beside it on a plate of its colour."""

from collections.abc import Sequence

from PIL import ImageDraw, ImageFont

from inference.palette import BLACK, Rgb, text_on
from inference.placing import Box, place

_LETTERS_ON_A_SIDE = 60
_SMALLEST = 13
"""Of letters, in pixels, unless the label is wider than the picture."""


def write(
    pen: ImageDraw.ImageDraw, picture: tuple[int, int], labels: Sequence[tuple[str, Box, Rgb]]
) -> None:
    """Writes text by text: the first ones get the best places.

    Args:
        pen: of the picture, RGB.
        picture: width and height.
        labels: text, the box that it names, colour.
    """
    letter = max(_SMALLEST, round((picture[0] * picture[1]) ** 0.5 / _LETTERS_ON_A_SIDE))
    taken: list[Box] = []
    for text, box, rgb in labels:
        size, margin = letter, max(2, letter // 4)
        wide = ImageFont.load_default(size).getlength(text) + 2 * margin
        if wide > picture[0]:
            size = max(1, int(size * picture[0] / wide))
        font = ImageFont.load_default(size)
        wide = font.getlength(text) + 2 * margin
        # As high as the highest letters, so that all plates are alike.
        high = size + 2 * margin
        plate = place((wide, high), box, picture, taken)
        taken.append(plate)
        pen.rectangle(plate, fill=rgb, outline=BLACK)
        pen.text((plate[0] + margin, plate[1] + margin), text, fill=text_on(rgb), font=font)
