"""Places the text labels of boxes: each on a plate in the box's colour, without overlaps."""

from collections.abc import Iterator, Sequence

from PIL import ImageDraw, ImageFont

from inference.palette import BLACK, Rgb, text_on

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

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


def place(
    size: tuple[float, float], box: Box, picture: tuple[int, int], taken: Sequence[Box]
) -> Box:
    """The first good place of a label of width and height `size`; of bad ones the least covered.

    Tried in order: over the box, within its top, under it, within its bottom, each from the left
    and from the right; then down along its left side.

    Args:
        size: of the label; the picture cuts off what is larger than itself.
        box: what it names.
        picture: width and height.
        taken: other labels.
    """
    best, least = None, float("inf")
    for corner in _corners(size, box):
        spot = _within(corner, size, picture)
        covered = sum(_overlap(spot, other) for other in taken)
        if covered < least:
            best, least = spot, covered
        if not covered:
            break
    return best or _within((box[0], box[1]), size, picture)


def _corners(size: tuple[float, float], box: Box) -> Iterator[tuple[float, float]]:
    """Left and top of the label."""
    width, height = size
    left, top, right, bottom = box
    for y in (top - height, top, bottom, bottom - height):
        yield left, y
        yield right - width, y
    for step in range(1, int((bottom - top) // height) + 1):
        yield left, top + step * height
    for step in range(1, 8):  # farther and farther away from a crowd
        yield left, top - (step + 1) * height
        yield left, bottom + step * height


def _within(
    corner: tuple[float, float], size: tuple[float, float], picture: tuple[int, int]
) -> Box:
    left = max(0.0, min(corner[0], picture[0] - size[0]))
    top = max(0.0, min(corner[1], picture[1] - size[1]))
    return left, top, left + size[0], top + size[1]


def _overlap(one: Box, other: Box) -> float:
    """Square pixels that both cover."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0.0) * max(high, 0.0)
