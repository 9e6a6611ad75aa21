"""Reads sizes and counts parts of encoded images, by format; all loops end at limits."""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from inference.errors import RefusedError
from inference.jpeg import segments
from pipelines.decoding_limits import DecodingLimits
from pipelines.formats import ImageFormat
from pipelines.protocol import Refusal

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's frame header."""
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_EXIF = b"Exif\0\0"
_RUN_LENGTHS = {1, 2}
"""Of a BMP: codes of 8 and 4 bits that may end a line, or the image, before its last pixel."""
_UNCOMPRESSED = {0, 3}
"""Of a BMP."""
_WIDTH, _HEIGHT, _COMPRESSION = 256, 257, 259
_STRIPS = {273, 279, 324, 325}
"""TIFF tags that have a value for each strip or tile."""
_INLINE = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""TIFF's types of whole numbers, as struct names them."""
_JPEG_STRIPS = {6, 7}
_PAGES = 33
"""Of a TIFF, one more than are read."""


@dataclass
class Parts:
    """What is found in a file."""

    max_pixels: int
    """That a picture may have."""
    pixels: int | None = None
    """Of the largest one."""
    progressive: bool = False
    scans: int = 0
    costly: bool = False
    """Whether the time does not follow from the size."""

    def size(self, width: int, height: int) -> None:
        """Takes the size of a picture in the file, and refuses one beyond the limit."""
        if width * height > self.max_pixels:
            raise RefusedError(
                Refusal.IMAGE_TOO_LARGE,
                f"the image is decoded to {width} x {height} pixels, "
                f"the limit is {self.max_pixels} in all. Send a smaller image.",
            )
        self.pixels = max(self.pixels or 0, width * height)


def _at_most(count: int, limit: int, parts: str) -> None:
    if count > limit:
        raise RefusedError(
            Refusal.IMAGE_TOO_COSTLY,
            f"the image has more than {limit} {parts}. "
            "Save it again as a common JPEG or PNG, without them.",
        )


def _jpeg(data: bytes, limits: DecodingLimits, facts: Parts) -> None:
    end, components, exif = 2, 0, []
    for count, (marker, start, end) in enumerate(segments(data), 1):
        _at_most(count, limits.segments, "segments before its picture")
        if marker in _FRAMES:
            body = data[start:end].lstrip(b"\xff")[3:]
            height, width, components = struct.unpack_from(">HHB", body, 1)
            facts.size(width, height)
            facts.progressive = facts.progressive or marker in _PROGRESSIVE
        elif marker == _APP1 and data.startswith(_EXIF, end - _length(data, start, end)):
            exif.append(data[end - _length(data, start, end) + len(_EXIF) : end])
    if exif:
        _exif(b"".join(exif), limits)
    if len(data) - end < 4:  # noqa: PLR2004 - there is no more header
        facts.pixels = None
        return
    if not data.startswith(bytes((0xFF, _SCAN)), end) and data[end : end + 2] != b"\xff\xff":
        raise ValueError("the header of the JPEG is broken")
    facts.scans = 1
    if facts.progressive or data[end + 4] < components:
        facts.scans = data.count(bytes((0xFF, _SCAN)), end)
        if facts.scans > limits.scans:  # some may stand in what follows the picture
            facts.scans = _scans(data, end, limits)


def _length(data: bytes, start: int, end: int) -> int:
    """Bytes of a segment behind its marker and length."""
    fill = len(data[start : start + 64]) - len(data[start : start + 64].lstrip(b"\xff"))
    return end - start - fill - 3


def _scans(data: bytes, position: int, limits: DecodingLimits) -> int:
    """Scans of a JPEG's first picture, from its first one on."""
    scans = parts = 0
    while (found := _MARKER.search(data, position)) and found[0][1] != _END:
        parts += 1
        scans += found[0][1] == _SCAN
        _at_most(scans, limits.scans, "scans")
        _at_most(parts, limits.segments + limits.scans, "segments")
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    return scans


def _exif(data: bytes, limits: DecodingLimits) -> None:
    """Pillow reads all tags of EXIF for the orientation and the resolution."""
    data = data.removeprefix(_EXIF)
    order = "<" if data[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, start)
    except struct.error:
        return  # broken EXIF counts as none
    _at_most(count, limits.segments, "tags in its EXIF")


def _png(data: bytes, limits: DecodingLimits, facts: Parts) -> None:
    position, count = 8, 0
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        count += 1
        _at_most(count, limits.chunks, "chunks")
        match name:
            case b"IHDR":
                facts.size(*struct.unpack_from(">II", data, position + 8))
            case b"acTL":
                (frames,) = struct.unpack_from(">I", data, position + 8)
                _at_most(frames, limits.frames, "frames")
            case b"eXIf":
                _exif(data[position + 8 : position + 8 + length], limits)
            case b"IEND":
                return
        position += 12 + length


def _webp(data: bytes, limits: DecodingLimits, facts: Parts) -> None:
    position, count, frames = 12, 0, 0
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        body = position + 8
        count += 1
        _at_most(count, limits.chunks, "chunks")
        match name:
            case b"VP8X":
                facts.size(*(1 + int.from_bytes(data[at : at + 3], "little")
                             for at in (body + 4, body + 7)))  # fmt: skip
            case b"VP8 ":
                width, height = struct.unpack_from("<HH", data, body + 6)
                facts.size(width & 0x3FFF, height & 0x3FFF)
            case b"VP8L":
                (bits,) = struct.unpack_from("<I", data, body + 1)
                facts.size(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
            case b"ANMF":
                frames += 1
                _at_most(frames, limits.frames, "frames")
            case b"EXIF":
                _exif(data[body : body + length], limits)
        position = body + length + length % 2


def _bmp(data: bytes, _: DecodingLimits, facts: Parts) -> None:
    (offset, header) = struct.unpack_from("<II", data, 10)
    if header == 12:  # noqa: PLR2004 - the header of OS/2
        width, height, _planes, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _planes, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression in _RUN_LENGTHS:
        raise RefusedError(
            Refusal.IMAGE_UNDECODABLE,
            "the image's run-length compression does not show missing pixels. Save it as PNG.",
        )
    width, height = abs(width), abs(height)
    facts.size(width, height)
    if compression in _UNCOMPRESSED and offset + (width * bits + 31) // 32 * 4 * height > len(data):
        raise ValueError("truncated")


def _gif(data: bytes, limits: DecodingLimits, facts: Parts) -> None:
    """Up to the first picture: no other is read."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position, count = 13 + _palette(flags), 0
    while (kind := data[position]) == ord("!"):
        position += 2
        while length := data[position]:
            count += 1
            _at_most(count, limits.chunks, "blocks before its picture")
            position += 1 + length
        position += 1
    if kind == ord(","):
        left, top, wide, high = struct.unpack_from("<HHHH", data, position + 1)
        facts.size(max(width, left + wide), max(height, top + high))


def _palette(flags: int) -> int:
    """Bytes of a GIF's global table of colours."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _tiff(data: bytes, limits: DecodingLimits, facts: Parts) -> None:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43  # noqa: PLR2004 - BigTIFF
    offset, counter, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    counted, each = struct.calcsize(order + counter), struct.calcsize(order + entry)
    (position,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    for _ in range(_PAGES):
        if not position:
            return
        (count,) = struct.unpack_from(order + counter, data, position)
        _at_most(count, limits.segments, "tags")
        start = position + counted
        tags = data[start : start + count * each]
        width = height = 0
        for tag, kind, values, value in struct.iter_unpack(order + entry, tags):
            if tag in _STRIPS:
                _at_most(values, limits.strips, "strips or tiles")
            elif tag in {_WIDTH, _HEIGHT, _COMPRESSION} and kind in _INLINE:
                (number,) = struct.unpack_from(order + _INLINE[kind], value)
                if tag == _WIDTH:
                    width = number
                elif tag == _HEIGHT:
                    height = number
                else:
                    facts.costly = facts.costly or number in _JPEG_STRIPS
        facts.size(width, height)
        (position,) = struct.unpack_from(order + offset, data, start + count * each)


def _boxes(data: bytes, limits: DecodingLimits, facts: Parts) -> None:
    """Of AVIF and HEIC: the sizes that stand before the pictures."""
    position, count = 0, 0
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        count += 1
        _at_most(count, limits.chunks, "boxes")
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, position + 8)
        end = position + length if length else len(data)
        if name == b"meta":
            _at_most(data.count(b"infe", position, end), limits.frames, "items")
            at = position
            while (at := data.find(b"ispe", at + 1, end)) >= 0:
                count += 1
                _at_most(count, limits.chunks, "boxes")
                facts.size(*struct.unpack_from(">II", data, at + 8))
        elif name == b"moov":
            facts.costly = True  # a sequence, whose sizes stand elsewhere
        if end < position + 8:
            return
        position = end


READERS: dict[ImageFormat, Callable[[bytes, DecodingLimits, Parts], None]] = {
    ImageFormat.JPEG: _jpeg,
    ImageFormat.PNG: _png,
    ImageFormat.WEBP: _webp,
    ImageFormat.BMP: _bmp,
    ImageFormat.TIFF: _tiff,
    ImageFormat.GIF: _gif,
    ImageFormat.AVIF: _boxes,
    ImageFormat.HEIC: _boxes,
}
"""Each raises RefusedError, or struct.error or IndexError where the file is cut."""
