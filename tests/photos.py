"""Photos made for the tests: smooth colours with texture, of any size, format and orientation."""

from io import BytesIO

import numpy as np
from PIL import Image

ORIENTATION_TAG = 0x0112


def photo(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """A colourful RGB picture; the same seed and size give the same picture."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    strength = int(random.integers(1, 60))
    texture = random.integers(-strength, strength + 1, (height, width, 3))
    return Image.fromarray((np.asarray(smooth) + texture).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, format_: str = "JPEG", orientation: int | None = None) -> bytes:
    """The file's bytes; `orientation` is an EXIF orientation, 1 to 8."""
    options: dict[str, object] = {"quality": 92} if format_ in {"JPEG", "WEBP"} else {}
    if orientation is not None:
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = orientation
        options["exif"] = exif
    buffer = BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def album(count: int) -> list[bytes]:
    """Encoded photos, none of them square, in every format, some rotated by EXIF."""
    formats = ("JPEG", "JPEG", "PNG", "WEBP", "BMP", "TIFF")
    files = []
    for index in range(count):
        width, height = 200 + 37 * (index % 7), 190 + 53 * (index % 5)
        width += width == height
        format_ = formats[index % len(formats)]
        orientation = 1 + index % 8 if format_ == "JPEG" else None
        files.append(encoded(photo(index, width, height), format_, orientation))
    return files
