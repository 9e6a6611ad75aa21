"""Images that cost far more than they look: small files, or files of many parts."""

import struct
import zlib
from pathlib import Path

from tests import photos

ATTACKS = Path(__file__).parent / "images" / "attack"
"""Files that once stopped the service."""
_TIFF_TYPES = {1: "B", 3: "H", 4: "I"}


def jpeg_of_scans(count: int, width: int = 320, height: int = 240) -> bytes:
    """A whole progressive JPEG that goes over its picture once more for each scan."""
    image = photos.photo(1, width, height)
    file = photos.BytesIO()
    image.save(file, "JPEG", progressive=True)
    data = file.getvalue()
    end = data.rindex(b"\xff\xd9")
    # Red differences, all coefficients: blocks without any, told in runs of up to 32,767.
    table = b"\xff\xc4" + struct.pack(">H", 21) + b"\x10" + bytes([0, 2] + [0] * 14) + b"\xe0\0"
    scan = b"\xff\xda" + struct.pack(">H", 8) + bytes([1, 2, 0, 1, 63, 0])
    return data[:end] + table + (scan + _empty_blocks(width, height)) * count + data[end:]


def _empty_blocks(width: int, height: int) -> bytes:
    left, bits = -(-width // 16) * -(-height // 16), ""
    while left >= 1 << 14:
        run = min(left, (1 << 15) - 1)
        bits += "00" + format(run - (1 << 14), "014b")
        left -= run
    bits += "01" * left
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


def jpeg_of_segments(count: int) -> bytes:
    """A small photo behind so many segments of EXIF."""
    photo = photos.encoded(photos.photo(1))
    segment = b"\xff\xe1\0\x12Exif\0\0" + bytes(10)
    return photo[:2] + segment * count + photo[2:]


def exif_of_tags(count: int) -> bytes:
    """EXIF of so many tags."""
    tags = b"".join(struct.pack("<HHII", tag + 1000, 4, 1, 0) for tag in range(count))
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", count) + tags + bytes(4)


def tiff(tags: list[tuple[int, int, list[int]]], data: bytes = b"") -> bytes:
    """A little-endian TIFF of one page: tag, type and values of each entry."""
    end, entries, extra = 8 + 2 + 12 * len(tags) + 4, b"", b""
    for tag, kind, values in tags:
        raw = struct.pack(f"<{len(values)}{_TIFF_TYPES[kind]}", *values)
        place = raw.ljust(4, b"\0")
        if len(raw) > 4:
            place, extra = struct.pack("<I", end + len(extra)), extra + raw
        entries += struct.pack("<HHI", tag, kind, len(values)) + place
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    return head + entries + bytes(4) + extra + data


def tiff_of_strips(count: int) -> bytes:
    """Grey, one row in each strip, all strips in the same place."""
    return tiff(
        [(256, 4, [4]), (257, 4, [count]), (258, 3, [8]), (259, 3, [1]), (262, 3, [1]),
         (273, 4, [8] * count), (277, 3, [1]), (278, 4, [1]), (279, 4, [4] * count)]
    )  # fmt: skip


def tiff_of_tags(count: int) -> bytes:
    return tiff([(tag + 1000, 4, [0]) for tag in range(count)])


def chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


def png(width: int, height: int, before: bytes = b"") -> bytes:
    """Black, 8 bits of colour, with chunks before its data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + 3 * width)) for _ in range(height)) + packer.flush()
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before
    return head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def png_of_chunks(count: int) -> bytes:
    return png(8, 8, chunk(b"tEXt", b"a\0") * count)


def png_of_frames(count: int) -> bytes:
    return png(8, 8, chunk(b"acTL", struct.pack(">II", count, 0)))


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of these chunks."""
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def webp_canvas(width: int, height: int, *more: tuple[bytes, bytes]) -> bytes:
    sides = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
    return riff((b"VP8X", b"\x02\0\0\0" + sides), *more)


def gif_of_blocks(count: int) -> bytes:
    """A comment of so many blocks before the picture."""
    file = photos.BytesIO()
    photos.photo(1, 8, 8).convert("P").save(file, "GIF")
    data = file.getvalue()
    start = 13 + (3 << (data[10] & 7) + 1)
    return data[:start] + b"!\xfe" + b"\x01x" * count + b"\0" + data[start:]


def heif_of_items(brand: bytes, count: int) -> bytes:
    def box(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", 8 + len(data)) + name + data

    kinds = box(b"ftyp", brand + bytes(4) + brand)
    return kinds + box(b"meta", bytes(4) + box(b"iinf", box(b"infe", bytes(12)) * count))
