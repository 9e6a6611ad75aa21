"""What decoding one image may cost: limits on its parts, memory and CPU time, with defaults.

Standard library only, as backend processes read it. A pipeline's YAML may name others in `limits`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class DecodingLimits:
    """Far above what cameras, scanners and editors write."""

    decoded_bytes: int = 2**30
    """Memory while an image is decoded, as its header lets expect."""
    cpu_seconds: int = 10
    """CPU time of one decoding."""
    scans: int = 100
    """Of a JPEG. Progressive files of cameras and editors have 6 to 20; each passes over all."""
    segments: int = 1000
    """Of a JPEG before its picture; tags of a TIFF's page, or of EXIF."""
    strips: int = 20_000
    """Strips or tiles of a TIFF's page."""
    chunks: int = 20_000
    """Of a PNG or WebP, blocks of a GIF before its picture, boxes of an AVIF or HEIC."""
    frames: int = 1000
    """Of an animation; items of an AVIF or HEIC."""
