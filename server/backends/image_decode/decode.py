"""Encoded bytes to the pixels that the models saw in training, bit for bit what Pillow does.

Pure: it knows no Triton, so that tests and tools outside can run the very same steps.
"""

import json
from dataclasses import dataclass
from io import BytesIO
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipelines.wire import Refusal
from server.backends.refusal import RefusedError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"II*\x00", b"MM\x00*")
_TIFF_TILE_SIDES = (322, 323)
_BYTE = 255
_UINT16 = 65535


@dataclass(frozen=True)
class Recipe:
    """From an image of any size to `height` x `width`, and what is too large to try."""

    height: int
    width: int
    resize: str
    """`stretch`: both sides to the target. `crop`: the short side, then the centre."""
    interpolation: Image.Resampling
    max_bytes: int
    max_pixels: int

    @classmethod
    def from_json(cls, preprocessing: str, limits: str) -> Self:
        """Reads the JSON of a spec's `preprocessing` and `limits`.

        Raises:
            KeyError, ValueError: a fact is missing or unknown.
        """
        facts, bounds = json.loads(preprocessing), json.loads(limits)
        if facts["profile"] != "exact" or facts["resize"] not in {"stretch", "crop"}:
            raise ValueError(f"no such profile or resize: {facts['profile']}, {facts['resize']}")
        return cls(
            height=int(facts["height"]),
            width=int(facts["width"]),
            resize=facts["resize"],
            interpolation=Image.Resampling[facts["interpolation"].upper()],
            max_bytes=int(bounds["bytes"]),
            max_pixels=int(bounds["pixels"]),
        )


def decode(data: bytes, recipe: Recipe) -> NDArray[np.uint8]:
    """One encoded image as RGB pixels, UINT8 [height, width, 3]; of several frames the first.

    Raises:
        RefusedError: empty, too large, of no format that is read, or broken. The text names the
            problem and the remedy, nothing of the content.
    """
    if not data:
        raise RefusedError(Refusal.IMAGE_EMPTY, "the file is empty. Send the image's bytes.")
    if len(data) > recipe.max_bytes:
        raise RefusedError(
            Refusal.IMAGE_TOO_LARGE,
            f"the file has {len(data)} bytes, the limit is {recipe.max_bytes}. "
            "Send a smaller image or compress it more.",
        )
    try:
        return _decode(data, recipe)
    except RefusedError:
        raise
    except UnidentifiedImageError as error:
        if data.startswith(_SIGNATURES):
            raise _undecodable(error) from None
        raise RefusedError(
            Refusal.IMAGE_FORMAT,
            "the file is no image of a known format. Send JPEG, PNG, WebP, BMP or TIFF.",
        ) from None
    except Image.DecompressionBombError:
        raise _too_large("the image has too many pixels.") from None
    except MemoryError:
        raise _too_large("the image needs more memory than there is.") from None
    except Exception as error:  # noqa: BLE001 - decoders raise anything on hostile bytes
        raise _undecodable(error) from None


def _decode(data: bytes, recipe: Recipe) -> NDArray[np.uint8]:
    with Image.open(BytesIO(data), formats=FORMATS) as image:  # reads the header only
        _check_pixels(image, recipe)
        image.load()
        rgb = _to_rgb(_upright(image))
        return np.array(_to_size(rgb, recipe), dtype=np.uint8)


def _check_pixels(image: Image.Image, recipe: Recipe) -> None:
    """Refuses by the header alone what decoding would blow up to more than the limit."""
    tile_sides = [getattr(image, "tag_v2", {}).get(tag, 0) for tag in _TIFF_TILE_SIDES]
    sizes = [image.size, tuple(tile_sides)]
    if recipe.resize == "crop":
        sizes.append(_crop_size(image.size, recipe))
    for width, height in sizes:
        if width * height > recipe.max_pixels:
            raise _too_large(
                f"the image is decoded to {width} x {height} pixels, "
                f"the limit is {recipe.max_pixels} in all."
            )


def _upright(image: Image.Image) -> Image.Image:
    """Applies the EXIF orientation; EXIF that cannot be read counts as none."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001, S110 - the pixels are loaded and good; only the EXIF is broken
        pass
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """What `convert("RGB")` gives, but for deep grey, which Pillow 13 clips to white.

    Pillow reads 16-bit colour by its high byte; 16-bit grey gets the same here. 32-bit integers
    (I) and floats (F) name no white: values in [0, 255], and floats in [0, 1], are taken as
    they are, integers up to 65535 as 16-bit, and any other range is stretched to [0, 255].
    """
    if image.mode.startswith("I;16"):
        return _grey(np.asarray(image) >> 8)
    if image.mode in {"I", "F"}:
        return _grey(_to_bytes(np.asarray(image)))
    if image.mode == "P":
        # It changes nothing about the RGB, but Pillow warns of it.
        image.info.pop("transparency", None)
    return image.convert("RGB")


def _to_bytes(values: NDArray[np.generic]) -> NDArray[np.float64]:
    pixels = values.astype(np.float64)
    low, high = pixels.min(), pixels.max()
    if not np.isfinite(high - low):
        raise ValueError("pixels that are not finite")
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        return pixels * _BYTE
    if low >= 0 and high <= _BYTE:
        return pixels
    if values.dtype.kind == "i" and low >= 0 and high <= _UINT16:
        return pixels // 256
    stretched: NDArray[np.float64] = (pixels - low) * (_BYTE / (high - low or 1.0))
    return stretched


def _grey(pixels: NDArray[np.generic]) -> Image.Image:
    return Image.fromarray(np.rint(pixels).astype(np.uint8)).convert("RGB")


def _to_size(image: Image.Image, recipe: Recipe) -> Image.Image:
    target = (recipe.width, recipe.height)
    if recipe.resize == "stretch":
        return image.resize(target, recipe.interpolation)
    resized = image.resize(_crop_size(image.size, recipe), recipe.interpolation)
    # round() as in torchvision's CenterCrop: half a pixel goes to the even side.
    left = round((resized.width - recipe.width) / 2)
    top = round((resized.height - recipe.height) / 2)
    return resized.crop((left, top, left + recipe.width, top + recipe.height))


def _crop_size(size: tuple[int, int], recipe: Recipe) -> tuple[int, int]:
    """The size before the crop: the short side at the target, the long one truncated."""
    side, short = max(recipe.height, recipe.width), max(1, min(size))
    return int(side * size[0] / short), int(side * size[1] / short)


def _too_large(problem: str) -> RefusedError:
    return RefusedError(Refusal.IMAGE_TOO_LARGE, f"{problem} Send a smaller image.")


def _undecodable(error: Exception) -> RefusedError:
    early = "truncated" in str(error).lower()
    problem = "data end too early" if early else "data cannot be decoded"
    remedy = "Send the complete file." if early else "Save the image again and send that."
    return RefusedError(Refusal.IMAGE_UNDECODABLE, f"the image's {problem}. {remedy}")
