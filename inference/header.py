"""Tells by an encoded image's header, before Pillow reads it, what decoding would cost.

Pillow reads all segments, tags or chunks before it tells the size, and some of its readers take
memory for the whole picture then.
"""

import struct
from dataclasses import dataclass

from inference.errors import RefusedError
from inference.parts import READERS, Parts
from inference.rules import DecodeRules
from pipelines.formats import ImageFormat, refusal_text, sniff
from pipelines.protocol import Refusal

_NANOSECONDS = {
    ImageFormat.JPEG: 10,
    ImageFormat.PNG: 40,
    ImageFormat.WEBP: 40,
    ImageFormat.BMP: 10,
    ImageFormat.TIFF: 40,
    ImageFormat.GIF: 30,
    ImageFormat.AVIF: 60,
    ImageFormat.HEIC: 100,
}
"""CPU time of a pixel, rounded up from measurements."""
_NANOSECONDS_OF_A_SCAN = 1
_BYTES = {
    ImageFormat.JPEG: 8,
    ImageFormat.PNG: 10,
    ImageFormat.WEBP: 20,
    ImageFormat.BMP: 8,
    ImageFormat.TIFF: 10,
    ImageFormat.GIF: 10,
    ImageFormat.AVIF: 16,
    ImageFormat.HEIC: 16,
}
"""Memory of a pixel at the peak: the decoder's, Pillow's four bytes, and a conversion of them."""
_BYTES_PROGRESSIVE = 6
"""In addition: coefficients, which libjpeg keeps until the last scan."""


@dataclass(frozen=True)
class Header:
    """What decoding will cost, by the header alone."""

    format: ImageFormat
    pixels: int | None
    """Of the largest picture in it that may be read; None where the header cannot be read."""
    seconds: float
    """Of CPU time, on a usual core; more than it mostly takes."""
    bytes: int
    """Of memory at the peak."""


def read_header(data: bytes, rules: DecodeRules) -> Header:
    """Counts the parts of a file, and estimates what decoding costs.

    Raises:
        RefusedError: of no format that is read, or beyond a limit.
        ValueError: broken in a way that would cost time to find out later.
    """
    claimed = claimed_format(data)
    facts = Parts(rules.max_pixels)
    try:
        READERS[claimed](data, rules.limits, facts)
    except (struct.error, IndexError):
        facts.pixels = None  # cut; Pillow says so
    pixels = rules.max_pixels if facts.pixels is None else facts.pixels
    each = _BYTES[claimed] + _BYTES_PROGRESSIVE * facts.progressive
    if pixels * each > rules.limits.decoded_bytes:
        raise RefusedError(
            Refusal.IMAGE_TOO_LARGE,
            f"decoding the image would take {pixels * each} bytes of memory, "
            f"the limit is {rules.limits.decoded_bytes}. Send a smaller image, or a JPEG.",
        )
    known = facts.pixels is not None and not facts.costly
    nanoseconds = _NANOSECONDS[claimed] + _NANOSECONDS_OF_A_SCAN * facts.scans
    seconds = pixels * nanoseconds / 1e9 if known else float(rules.limits.cpu_seconds)
    return Header(claimed, facts.pixels, seconds, pixels * each)


def claimed_format(data: bytes) -> ImageFormat:
    """The format that the first bytes claim.

    Raises:
        RefusedError: it is none that is read.
    """
    claimed = sniff(data)
    if claimed is None:
        raise RefusedError(Refusal.IMAGE_FORMAT, refusal_text(data))
    return claimed
