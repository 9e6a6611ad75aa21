"""Chooses the page of a TIFF that is its photo, and refuses data that are missing or not told.

Pillow and libtiff read what a TIFF does not say by guessing: a missing strip as black, 12 bits as
16, a signed integer as an unsigned one (docs/decisions/0037).
"""

from collections.abc import Iterator

from PIL import Image, TiffImagePlugin

from inference.errors import RefusedError
from inference.jpeg import check_jpeg
from pipelines.protocol import Refusal

_PAGES_AT_MOST = 32
_REDUCED_OR_MASK = 0b101
"""Of NewSubfileType."""
_REDUCED = 2
"""Of SubfileType, its older form."""
_UNSIGNED = 1
_FAX = {2, 3, 4}
_OLD_JPEG = 6
_JPEG = 7
_SUBFILES, _OLD_SUBFILE = 254, 255
_BITS, _COMPRESSION, _SAMPLE_FORMAT, _MAX_SAMPLE = 258, 259, 339, 281
_STRIPS, _TILES = (273, 279), (324, 325)
_TABLES = 347
_TILE_SIDES = (322, 323)
_WHITE_IS_ZERO = 0
_DEEP = 8


def to_page(image: Image.Image) -> None:
    """Moves an opened TIFF to its only full page.

    Raises:
        RefusedError: there are several, or none that is not marked as reduced.
    """
    full = []
    for page in _pages(image):
        tags = _tags(image)
        reduced = tags.get(_SUBFILES, 0) & _REDUCED_OR_MASK or tags.get(_OLD_SUBFILE) == _REDUCED
        if not reduced:
            full.append(page)
        if len(full) > 1 or page >= _PAGES_AT_MOST:
            raise _refused("file has several pages", "Send the page that is meant as a file.")
    if not full:
        raise _refused("file has only a preview of the photo", "Export the photo as JPEG.")
    image.seek(full[0])


def check_tiff(image: Image.Image, data: bytes) -> None:
    """Refuses, before anything is decoded, what the page does not say or lacks.

    Raises:
        RefusedError: samples of another kind than unsigned integers of a known white, strips that
            are missing, or a compression that conceals missing data.
        ValueError: a strip of JPEG is not whole.
    """
    tags = _tags(image)
    bits = max(tags.get(_BITS, (1,)))
    if set(tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))) != {_UNSIGNED} or bits not in {
        *range(1, _DEEP + 1),
        12,
        16,
    }:
        raise _refused("samples have no known white", "Save it with 8 or 16 bits, unsigned.")
    if bits > _DEEP:
        white_bits(image)
    compression = tags.get(_COMPRESSION, 1)
    if compression in _FAX or compression == _OLD_JPEG:
        raise _refused("compression does not show missing data", "Save it as PNG.")
    strips = _strips(image)
    if not all(offset and count and offset + count <= len(data) for offset, count in strips):
        raise _refused("data end too early", "Send the complete file.")
    if compression == 1 and sum(count for _, count in strips) < _least(image):
        raise _refused("data end too early", "Send the complete file.")
    if compression == _JPEG:
        tables = bytes(tags.get(_TABLES, b""))[2:-2]
        for offset, count in strips:
            strip = b"\xff\xd8" + tables + data[offset + 2 : offset + count]
            check_jpeg(strip, tuple(map(max, image.size, tile_sides(image))))


def tile_sides(image: Image.Image) -> tuple[int, int]:
    """Width and height of a tile; 0 where there are none."""
    width, height = (_tags(image).get(tag, 0) for tag in _TILE_SIDES)
    return width, height


def white_bits(image: Image.Image) -> int:
    """Bits of the whitest value of deep samples, by what the page says.

    Raises:
        RefusedError: it names a largest value that is no whole number of bits.
    """
    tags = _tags(image)
    bits = max(tags[_BITS])
    largest = max(_numbers(tags.get(_MAX_SAMPLE, 2**bits - 1)))
    told = int(largest).bit_length()
    if largest != 2**told - 1 or not _DEEP <= told <= bits:
        raise _refused("samples have no known white", "Save it with 8 bits.")
    if len(tags[_BITS]) > 1 and told != bits:
        raise _refused("colours use a part of their bits", "Save it with 8 bits.")
    return told


def white_is_zero(image: Image.Image) -> bool:
    """Whether a page of deep grey has its white at 0."""
    return bool(_tags(image).get(262, 1) == _WHITE_IS_ZERO)


def _pages(image: Image.Image) -> Iterator[int]:
    page = 0
    while True:
        try:
            image.seek(page)
        except EOFError:
            return
        yield page
        page += 1


def _strips(image: Image.Image) -> list[tuple[int, int]]:
    """Offset and bytes of each strip or tile."""
    tags = _tags(image)
    offsets, counts = _TILES if _TILES[0] in tags else _STRIPS
    starts, sizes = _numbers(tags.get(offsets, ())), _numbers(tags.get(counts, ()))
    if not starts or len(starts) != len(sizes):
        raise _refused("data end too early", "Send the complete file.")
    return list(zip(map(int, starts), map(int, sizes), strict=True))


def _least(image: Image.Image) -> int:
    """Bytes that the rows of an uncompressed page need at least."""
    bits = sum(_tags(image).get(_BITS, (1,)))
    return (image.width * bits // 8) * image.height


def _numbers(value: object) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)  # type: ignore[return-value]


def _tags(image: Image.Image) -> TiffImagePlugin.ImageFileDirectory_v2:
    tags: TiffImagePlugin.ImageFileDirectory_v2 = image.tag_v2  # type: ignore[attr-defined]
    return tags


def _refused(problem: str, remedy: str) -> RefusedError:
    return RefusedError(Refusal.IMAGE_UNDECODABLE, f"the image's {problem}. {remedy}")
