"""Decodes JPEG, and refuses a file whose missing or damaged data libjpeg would conceal.

libjpeg fills what is missing with grey and only counts a warning, which Pillow hides. simplejpeg
has the same libjpeg-turbo, gives the same pixels and can stop at the first warning
(docs/decisions/0036).
"""

import re
from collections.abc import Container, Iterator
from typing import Any

import simplejpeg
from numpy.typing import NDArray
from PIL import Image

_COLOURS = {"L": ("GRAY", "L"), "RGB": ("RGB", "RGB"), "CMYK": ("CMYK", "CMYK;I")}
"""By Pillow's mode: simplejpeg's name, and Pillow's name of the bytes' layout."""
_END = b"\xff\xd9"
_SCAN = b"\xff\xda"
_SEGMENT = re.compile(rb"\xff+([\xc0-\xfe])(..)", re.DOTALL)
_NO_END = "Premature end of JPEG file"
_JFIF = "unknown JFIF revision"
_PADDING = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_RETRIES = 3
_ARITHMETIC = range(0xC9, 0xD0)
_NO_PIXELS = {*range(0xE0, 0xF0), 0xFE}
"""Markers of APP0 to APP15 and of comments."""


def decode_jpeg(data: bytes, mode: str, size: tuple[int, int]) -> Image.Image:
    """The pixels that Pillow decodes, or an error where a part of them would be made up.

    Args:
        data: the file; whatever follows the first picture's end is ignored. A missing end marker
            is no fault where all rows are there.
        mode: Pillow's of the opened file: L, RGB or CMYK.
        size: width and height to decode at, by 1, 2, 4 or 8 smaller than the file's.

    Raises:
        ValueError: data are missing or damaged, or it is coded in a way that cannot be checked.
    """
    if next((marker for marker, _, _ in segments(data) if marker in _ARITHMETIC), None):
        raise ValueError("arithmetic coding, which does not show where data are missing")
    colours, layout = _COLOURS[mode]
    try:
        pixels = _pixels(data, colours, size, strict=True)
    except ValueError as error:
        pixels = _pixels(_checked(data, colours, error), colours, size, strict=False)
    height, width = pixels.shape[:2]
    if (width, height) != size:
        raise ValueError("the size of the JPEG differs from its header")
    return Image.frombuffer(mode, size, pixels, "raw", layout, 0, 1)


def check_jpeg(data: bytes, largest: tuple[int, ...]) -> None:
    """Decodes luminance at an eighth of the size, for its errors alone.

    Args:
        data: the file.
        largest: width and height that it may have; a larger one is not decoded.

    Raises:
        ValueError: data are missing or damaged, or it is larger.
    """
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    if width > largest[0] or height > largest[1]:
        raise ValueError("a strip is larger than the image")
    _pixels(data, "GRAY", (1, 1), strict=True)


def _pixels(data: bytes, colours: str, size: tuple[int, int], *, strict: bool) -> NDArray[Any]:
    width, height = size
    pixels: NDArray[Any] = simplejpeg.decode_jpeg(
        data, colours, min_width=width, min_height=height, strict=strict
    )
    return pixels


def _checked(data: bytes, colours: str, error: ValueError) -> bytes:
    """What to decode where the first warning, and all that come after it, conceal nothing."""
    for _ in range(_RETRIES):
        text = str(error)
        if _NO_END in text:
            data += _END
        elif _JFIF in text:
            data = _without(data, range(0xE0, 0xE1))
        elif (found := _PADDING.search(text)) and _is_padding(data, int(found[1])):
            break
        else:
            raise error
        try:
            _pixels(data, colours, (1, 1), strict=True)
        except ValueError as another:
            error = another
        else:
            break
    return data


def _is_padding(data: bytes, count: int) -> bool:
    """Whether so many bytes before the end marker are alike: some cameras fill up their files."""
    data = _without(data, _NO_PIXELS)
    end = data.find(_END, data.find(_SCAN))
    return len(set(data[end - count : end])) == 1


def _without(data: bytes, markers: Container[int]) -> bytes:
    """The file without these segments before the first scan."""
    kept, end = [data[:2]], 2
    for marker, start, end in segments(data):
        if marker not in markers:
            kept.append(data[start:end])
    return b"".join([*kept, data[end:]])


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment before the first scan."""
    position = 2
    while (found := _SEGMENT.match(data, position)) and found[1] != _SCAN[1:]:
        start, position = position, found.start(2) + int.from_bytes(found[2])
        yield found[1][0], start, position
