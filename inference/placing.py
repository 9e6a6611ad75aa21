"""Where a label goes: at its box, inside the picture, not over another label."""

from collections.abc import Iterator, Sequence

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


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
