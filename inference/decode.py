"""Decodes encoded images to the pixels that models saw in training, bit for bit as Pillow does.

Under the profile `fast` libjpeg decodes a JPEG at a half, a quarter or an eighth of its size
(docs/decisions/0014); all else is the same.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from inference.colour import strips, to_rgb, to_srgb
from inference.errors import RefusedError
from inference.header import Header, read_header
from inference.jpeg import decode_jpeg
from inference.opening import open_image, prepare
from inference.picture_statistics import picture_statistics
from inference.quality import Measures, colour_shift_of, measure, refuse_poor, seen_of
from inference.resize import Geometry, fit, resized_size, scaled_size
from inference.rules import DecodeRules
from inference.tiff import tile_sides
from pipelines import protocol
from pipelines.enums import Colour
from pipelines.protocol import Refusal

T = TypeVar("T")

_EARLY = ("data end too early", "Send the complete file.")
_UNDECODABLE = {
    "truncated": _EARLY,
    "premature": _EARLY,
    "colour profile": ("colour profile cannot be used", "Save it in sRGB."),
    "arithmetic": ("arithmetic coding is not read", "Save it as a common JPEG."),
    "subsampling": ("colour sampling is not read", "Save it as a common JPEG (4:2:0 or 4:4:4)."),
}
"""Words of a decoder's error: the problem and the remedy."""
_HIDDEN_AT_MOST = 0.5
"""Share of pixels that may be all but invisible."""
_INVISIBLE = 26
"""Alpha, in 255, below which a pixel is hidden: less than a tenth shows."""


@dataclass(frozen=True)
class Decoded:
    """One image as members take it."""

    pixels: NDArray[np.uint8]
    """RGB, [height, width, 3]."""
    geometry: Geometry
    measures: Measures
    """Of the photo's quality, FP32 [7]."""
    picture: NDArray[np.float32] | None
    """The picture's statistics, FP32 [34]; None where the rules need none."""

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What travels to the decision, by name; a classification does without the geometry."""
        picture = {} if self.picture is None else {protocol.PICTURE: self.picture}
        return {
            protocol.PIXELS: self.pixels,
            protocol.GEOMETRY: self.geometry.as_array(),
            protocol.MEASURES: self.measures,
            **picture,
        }


def decode(data: bytes, rules: DecodeRules, header: Header | None = None) -> Decoded:
    """One encoded image as RGB pixels; of several frames the first.

    Args:
        data: the file.
        rules: how.
        header: of the file, where it has been read already.

    Raises:
        RefusedError: empty, too large, too narrow, of no format that is read, broken, or of a
            quality that the pipeline refuses. The text names the problem and the remedy, nothing
            of the content.
    """
    header = header or inspect(data, rules)
    with _refusing():
        return _decode(data, rules, header)


def inspect(data: bytes, rules: DecodeRules) -> Header:
    """Reads the header of a file alone, which costs next to nothing.

    Raises:
        RefusedError: empty, of no format that is read, or beyond a limit that the header tells of.
    """
    if not data:
        raise RefusedError(Refusal.IMAGE_EMPTY, "the file is empty. Send the image's bytes.")
    if len(data) > rules.max_bytes:
        raise RefusedError(
            Refusal.IMAGE_TOO_LARGE,
            f"the file has {len(data)} bytes, the limit is {rules.max_bytes}. "
            "Send a smaller image or compress it more.",
        )
    with _refusing():
        return read_header(data, rules)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turns whatever a decoder raises into a refusal."""
    try:
        yield
    except RefusedError:
        raise
    except Image.DecompressionBombError:
        raise _too_large("the image has too many pixels.") from None
    except MemoryError:
        raise _too_large("the image needs more memory than there is.") from None
    except Exception as error:  # noqa: BLE001 - decoders raise anything on hostile bytes
        raise _undecodable(error) from None


def collect(images: Iterable[T], count: int) -> list[T]:
    """The images of one request; where they are several, a refusal says which one it is about.

    Raises:
        RefusedError: the first image that is refused.
    """
    decoded: list[T] = []
    try:
        for image in images:
            decoded.append(image)
    except RefusedError as error:
        where = f"image {len(decoded)}: " if count > 1 else ""
        raise RefusedError(error.code, where + error.text) from None
    return decoded


def upright(
    image: Image.Image,
    data: bytes,
    size: tuple[int, int] | None = None,
    colour: Colour = Colour.AS_STORED,
) -> Image.Image:
    """Loads an opened image: RGB, turned by its EXIF orientation. Broken EXIF is ignored.

    Args:
        image: opened from `data`.
        data: the file.
        size: of a JPEG: width and height to decode at; None: the whole.
        colour: what an embedded colour profile does.
    """
    if image.format in {"JPEG", "MPO"}:
        loaded = decode_jpeg(data, image.mode, size or image.size)
        # There the orientation is.
        loaded.info = dict(image.info)
    else:
        size = image.size
        prepare(image, data)
        image.load()
        if image.size != size:
            raise ValueError("the size of the picture differs from its header")
        loaded = image
    _check_alpha(loaded)
    try:
        ImageOps.exif_transpose(loaded, in_place=True)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001, S110 - the pixels are loaded and good; only the EXIF is broken
        pass
    return to_srgb(loaded) if colour is Colour.TO_SRGB else to_rgb(loaded)


def _decode(data: bytes, rules: DecodeRules, header: Header) -> Decoded:
    with open_image(data) as image:
        if header.pixels is not None and image.width * image.height > header.pixels:
            raise ValueError("the header says two sizes")
        _check_pixels(image, rules)
        _check_aspect(image, rules)
        size = _decoded_size(image, rules)
        shrunk = image.width // size[0]
        shift = colour_shift_of(image, rules.colour)
        photo = upright(image, data, size, rules.colour)
        fitted, geometry = fit(photo, rules, shrunk)
        pixels = np.array(fitted, dtype=np.uint8)
        seen = seen_of(fitted, geometry, rules)
        colours = pixels if seen is fitted else np.asarray(seen)
        measures = measure(photo, seen, colours, geometry, rules, shift=shift)
        if data != protocol.PROBE_IMAGE:
            refuse_poor(measures, rules.quality)
        picture = picture_statistics(seen) if rules.picture else None
        return Decoded(pixels, geometry, measures, picture)


def _decoded_size(image: Image.Image, rules: DecodeRules) -> tuple[int, int]:
    """The size to decode an opened image at: its own, or of a JPEG as small as `fast` allows."""
    if rules.reserve is None or image.format not in {"JPEG", "MPO"}:
        return image.size
    return scaled_size(image.size, (rules.width, rules.height), rules.reserve)


def _check_pixels(image: Image.Image, rules: DecodeRules) -> None:
    """Refuses by the header alone an image that decoding would make larger than the limit."""
    tile = tile_sides(image) if image.format == "TIFF" else (0, 0)
    for width, height in (image.size, tile, resized_size(image.size, rules)):
        if width * height > rules.max_pixels:
            raise _too_large(
                f"the image is decoded to {width} x {height} pixels, "
                f"the limit is {rules.max_pixels} in all."
            )


def _check_aspect(image: Image.Image, rules: DecodeRules) -> None:
    if rules.max_aspect is not None and max(image.size) > rules.max_aspect * min(image.size):
        raise RefusedError(
            Refusal.IMAGE_SHAPE,
            f"the image is {image.width} x {image.height} pixels: its long side may be at most "
            f"{rules.max_aspect:g} times the short one. Crop it.",
        )


def _check_alpha(image: Image.Image) -> None:
    """Refuses a loaded image of which nearly nothing is to be seen, though it has colours."""
    if image.has_transparency_data and image.mode not in {"I;16", "I;16B"}:
        hidden = sum(
            sum(strip.convert("RGBA").getchannel("A").histogram()[:_INVISIBLE])
            for strip in strips(image)
        )
        if hidden > _HIDDEN_AT_MOST * image.width * image.height:
            raise RefusedError(
                Refusal.IMAGE_UNDECODABLE,
                f"the image is transparent in more than {_HIDDEN_AT_MOST:.0%} of its pixels. "
                "Save it without transparency.",
            )


def _too_large(problem: str) -> RefusedError:
    return RefusedError(Refusal.IMAGE_TOO_LARGE, f"{problem} Send a smaller image.")


def _undecodable(error: Exception) -> RefusedError:
    problem, remedy = next(
        (known for words, known in _UNDECODABLE.items() if words in str(error).lower()),
        ("data cannot be decoded", "Save the image again and send that."),
    )
    return RefusedError(Refusal.IMAGE_UNDECODABLE, f"the image's {problem}. {remedy}")
