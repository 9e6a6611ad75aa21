"""Photos from files, as the service decodes them."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from inference import scaling
from pipelines.enums import Decoding, Resize
from pipelines.preprocessing import Preprocessing

Pixels = NDArray[np.uint8]
"""RGB, UINT8 [H, W, 3]."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
# Grey of more than 8 bits, for which the service has rules of its own.
_DEEP = ("I", "F")


class UnreadablePhotoError(ValueError):
    """A file that is no photo, or none that is read here."""


def read(path: Path, preprocessing: Preprocessing) -> Pixels:
    """A file's pixels, upright, RGB and at the pipeline's size: bit for bit what is served.

    Deep grey is left to the service, which has its own rules for it.

    Raises:
        UnreadablePhotoError: no image, broken, or grey of more than 8 bits.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            _scale(image, preprocessing)
            image.load()
            if image.mode.startswith(_DEEP):
                raise UnreadablePhotoError(f"{path}: grey of more than 8 bits: save it with 8")
            upright = ImageOps.exif_transpose(image)
            upright.info.pop("transparency", None)
            return np.array(to_size(upright.convert("RGB"), preprocessing))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadablePhotoError(f"{path}: {error}") from None


def readable(paths: Sequence[Path], preprocessing: Preprocessing) -> Iterator[tuple[Path, Pixels]]:
    """The files among these that can be read, in their order."""
    for path in paths:
        try:
            yield path, read(path, preprocessing)
        except UnreadablePhotoError:
            continue


def files_below(folder: Path) -> list[Path]:
    """All files in a folder and its folders, in order, without hidden ones."""
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")
    )


def spread(paths: Sequence[Path], most: int) -> list[Path]:
    """At most so many of these, evenly spaced."""
    return list(itertools.islice(paths, 0, None, max(1, -(-len(paths) // most))))


def _scale(image: Image.Image, preprocessing: Preprocessing) -> None:
    """Has an opened JPEG decoded at the size that `fast` needs; another format stays as it is."""
    if preprocessing.decoding is Decoding.FAST and preprocessing.size and preprocessing.reserve:
        height, width = preprocessing.size
        smaller = scaling.scaled_size(image.size, (width, height), preprocessing.reserve)
        image.draft("RGB", smaller)


def to_size(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """An upright RGB image as the pipeline's members see it."""
    shape = preprocessing
    if shape.size is None or shape.interpolation is None:
        return image
    height, width = shape.size
    resampling = Image.Resampling[shape.interpolation.upper()]
    if shape.resize is Resize.STRETCH:
        return image.resize((width, height), resampling)
    if shape.resize is Resize.LETTERBOX:
        return _letterboxed(image, width, height, resampling, shape.fill or 0)
    # As in torchvision: Resize truncates the long side, CenterCrop rounds half to even.
    side, short = max(shape.size), min(image.size)
    long = image.resize((side * image.width // short, side * image.height // short), resampling)
    left, top = round((long.width - width) / 2), round((long.height - height) / 2)
    return long.crop((left, top, left + width, top + height))


def _letterboxed(
    image: Image.Image, width: int, height: int, resampling: Image.Resampling, fill: int
) -> Image.Image:
    scale = min(width / image.width, height / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    boxed = Image.new("RGB", (width, height), (fill, fill, fill))
    corner = (width - inner[0]) // 2, (height - inner[1]) // 2
    boxed.paste(image.resize(inner, resampling), corner)
    return boxed
