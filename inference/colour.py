"""Converts images of all of Pillow's colour modes to RGB, by their colour profile if asked to."""

from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from inference.tiff import white_bits, white_is_zero

_BYTE = 255
_ROWS = 256
"""Of a strip."""
_BITS = 16
"""Of deep grey in a PNG."""
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Pillow's mode of the pixels that a colour profile is for, by the name of its space."""


def to_rgb(image: Image.Image) -> Image.Image:
    """What `convert("RGB")` gives, but for deep grey, which Pillow 13 clips to white.

    Pillow reads 16-bit colour by its high byte; deep grey gets the same here, by the bits that the
    file says it has.

    Raises:
        ValueError: grey of 32 bits, or fractions, whose white no file says.
    """
    if image.mode.startswith("I;16"):
        tiff = image.format == "TIFF"
        bits = (white_bits(image) if tiff else _BITS) - 8
        pixels = np.concatenate(
            [(np.asarray(strip) >> bits).clip(0, _BYTE).astype(np.uint8) for strip in strips(image)]
        )
        if tiff and white_is_zero(image):
            pixels = np.invert(pixels)
        return Image.fromarray(pixels).convert("RGB")
    if image.mode in {"I", "F"}:
        raise ValueError("grey without a known white")
    if image.mode == "P":
        # It does not change the RGB, but Pillow warns about it.
        image.info.pop("transparency", None)
    # RGB is not copied, as images may be large.
    return image if image.mode == "RGB" else image.convert("RGB")


def strips(image: Image.Image) -> Iterator[Image.Image]:
    """The image from top to bottom in parts: what is made of them takes less memory at a time."""
    for top in range(0, image.height, _ROWS):
        yield image.crop((0, top, image.width, min(top + _ROWS, image.height)))


def to_srgb(image: Image.Image) -> Image.Image:
    """RGB as `to_rgb` gives it, converted from the embedded colour profile (ICC) to sRGB.

    By relative colorimetric intent with black point compensation. Without a profile the pixels are
    taken for sRGB: what a PNG says by gAMA and cHRM alone, or a HEIC by numbers, is not used.

    Raises:
        ValueError: the profile is broken, or of another colour space than the pixels.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return to_rgb(image)
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        mode = _MODES[source.profile.xcolor_space.strip()]
        # CMYK alone is no RGB yet; all other modes are grey or RGB, some with alpha or a palette.
        pixels = image if image.mode == "CMYK" else to_rgb(image)
        if mode == "L" and image.getbands()[0] in {"L", "1", "I"}:
            pixels = pixels.getchannel(0)
        converted = ImageCms.profileToProfile(
            pixels,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except Exception as error:  # anything comes of hostile profiles
        raise ValueError("the colour profile cannot be used") from error
    if pixels.mode != mode or converted is None:
        raise ValueError("the colour profile is of another colour space than the pixels")
    return converted
