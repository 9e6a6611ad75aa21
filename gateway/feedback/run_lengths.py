"""Masks in COCO's compressed run lengths: their form, and the box around one.

The runs alternate between outside and inside, column by column, and begin outside. Each is written
in groups of five bits, the lowest first, as characters from `0` on; from the fourth run on the
difference to the run before the last one is written.
"""

_FIRST = ord("0")
_BITS, _MORE, _SIGN = 5, 0x20, 0x10
_LONGEST = 7
"""Characters of one run: 35 bits, more than any image has pixels."""
_PLAIN = 3
"""Runs at the start that are written as they are."""


def box_of(counts: str, height: int, width: int) -> tuple[float, float, float, float]:
    """The box around a mask: x1, y1, x2, y2 in pixels; x2 and y2 lie behind the last pixel.

    Raises:
        ValueError: the text is no mask of this size, or the mask is empty.
    """
    runs = _runs(counts)
    if sum(runs) != height * width:
        raise ValueError("its runs do not add up to its size")
    left, top, right, bottom = width, height, 0, 0
    at = 0
    for index, run in enumerate(runs):
        if index % 2 and run:
            first, last = at, at + run - 1
            left, right = min(left, first // height), max(right, last // height + 1)
            if first // height == last // height:
                top, bottom = min(top, first % height), max(bottom, last % height + 1)
            else:
                # It goes through the end of a column and the start of the next one.
                top, bottom = 0, height
        at += run
    if left >= right:
        raise ValueError("it is empty")
    return left, top, right, bottom


def _runs(counts: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - _FIRST
        if not 0 <= bits < 2 * _MORE or shift >= _LONGEST * _BITS:
            raise ValueError("it has characters that are none of a mask")
        value |= (bits & (_MORE - 1)) << shift
        shift += _BITS
        if bits & _MORE:
            continue
        if bits & _SIGN:
            value -= 1 << shift
        if len(runs) >= _PLAIN:
            value += runs[-2]
        if value < 0:
            raise ValueError("a run of it is negative")
        runs.append(value)
        value = shift = 0
    if shift:
        raise ValueError("it is cut off")
    return runs
