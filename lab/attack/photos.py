"""Photos that are small to send and costly to decode."""

import struct
from collections.abc import Callable
from functools import cache
from io import BytesIO

from PIL import Image

SIDE = 7071
"""Squared it is the shipped limit of 50,000,000 pixels, or just below."""


def _saved(image: Image.Image, image_format: str, **options: object) -> bytes:
    target = BytesIO()
    image.save(target, image_format, **options)
    return target.getvalue()


def run_length_bmp() -> bytes:
    """A BMP of 49,000,000 x 1 pixels in run lengths, which ends in its first line."""
    palette = bytes(1024)
    pixels = b"\x01\x00\x00\x00\x00\x01"
    offset = 14 + 40 + len(palette)
    size = offset + len(pixels)
    info = struct.pack("<IiiHHIIiiII", 40, 49_000_000, 1, 1, 8, 1, len(pixels), 2835, 2835, 256, 0)
    return struct.pack("<2sIHHI", b"BM", size, 0, 0, offset) + info + palette + pixels


def one_colour_webp() -> bytes:
    """A WebP of as many pixels as are let in, in some 50 bytes."""
    return _saved(Image.new("RGBA", (SIDE, SIDE), (120, 80, 60, 255)), "WEBP", lossless=True)


def progressive_jpeg() -> bytes:
    """A JPEG of 35 million pixels, decoded scan by scan."""
    noise = Image.effect_noise((700, 500), 60).convert("RGB").resize((7000, 5000))
    return _saved(noise, "JPEG", progressive=True, quality=30)


def empty_scans(count: int = 40_000) -> bytes:
    """A progressive JPEG of 7000 x 5000 pixels with so many scans that say nothing."""
    height, width = 5000, 7000
    frame = b"\xff\xc2" + struct.pack(">HBHHBBBB", 11, 8, height, width, 1, 1, 0x11, 0)
    one_code = bytes([1, *[0] * 15])
    tables = b"".join(
        b"\xff\xc4" + struct.pack(">HB", 20, kind) + one_code + symbol
        for kind, symbol in ((0x00, b"\x00"), (0x10, b"\xe0"))
    )
    blocks = -(-height // 8) * -(-width // 8)
    first = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0x00, 0, 0, 0) + bytes(-(-blocks // 8))
    # A run of 16,384 blocks that end: the code 0 and fourteen bits of 0.
    runs = bytes(-(-15 * -(-blocks // 16_384) // 8))
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0x00, 1, 63, 0) + runs
    return b"\xff\xd8" + frame + tables + first + scan * count + b"\xff\xd9"


def many_segments(count: int = 370_000) -> bytes:
    """A JPEG with so many empty EXIF segments before its picture."""
    photo = _saved(Image.new("RGB", (64, 48), (150, 90, 80)), "JPEG")
    return photo[:2] + b"\xff\xe1\x00\x02" * count + photo[2:]


def many_strips(count: int = 1_200_000) -> bytes:
    """A grey TIFF of one column, each of whose rows is a strip of its own."""
    header, entries = 8, 9
    data = header + 2 + entries * 12 + 4
    offsets, counts = data + 1, data + 1 + 4 * count
    tags = [
        (256, 4, 1, 1),
        (257, 4, 1, count),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, count, offsets),
        (277, 3, 1, 1),
        (278, 4, 1, 1),
        (279, 3, count, counts),
    ]
    directory = struct.pack("<H", entries) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return (
        struct.pack("<2sHI", b"II", 42, header)
        + directory
        + bytes(4)
        + b"\x80"
        + struct.pack("<I", data) * count
        + struct.pack("<H", 1) * count
    )


def float_tiff() -> bytes:
    """A TIFF of 32-bit numbers, 7000 x 7000, which compresses well."""
    return _saved(Image.new("F", (7000, 7000), 0.5), "TIFF", compression="tiff_adobe_deflate")


def one_colour_png() -> bytes:
    """A PNG of as many pixels as are let in, with transparency."""
    return _saved(Image.new("RGBA", (SIDE, SIDE), (120, 80, 60, 255)), "PNG", compress_level=9)


PHOTOS: dict[str, Callable[[], bytes]] = {
    "BMP of run lengths, 49,000,000 x 1": cache(run_length_bmp),
    "WebPs of 50 MP in 50 bytes": cache(one_colour_webp),
    "PNGs of 50 MP in one colour": cache(one_colour_png),
    "progressive JPEG of 35 MP": cache(progressive_jpeg),
    "JPEG with 40,000 empty scans": cache(empty_scans),
    "JPEG with 370,000 segments": cache(many_segments),
    "TIFF of 1,200,000 strips": cache(many_strips),
    "TIFF of 49 M floats": cache(float_tiff),
}
"""By what the table calls them."""
