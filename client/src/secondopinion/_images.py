"""The images that callers pass: their type, their bytes and their names."""

import os
import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

if TYPE_CHECKING:
    import PIL.Image


class PillowImage(Protocol):
    """An image of Pillow, which has to be installed only where one is given."""

    @property
    def mode(self) -> str:
        """Its pixel format."""

    def getexif(self) -> object:
        """Its EXIF data."""


class Array(Protocol):
    """An array of NumPy; Pillow makes a PNG of it."""

    @property
    def dtype(self) -> object:
        """Of its numbers."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """How others read its memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""


Image = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | PillowImage | Array
"""A path, the encoded bytes (JPEG, PNG, ...), a file opened in binary mode, a Pillow image, or a
NumPy array, uint8 RGB [H, W, 3]. The last two are sent as lossless PNG."""
_KEPT_BY_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_RGB = 3


def read(image: Image) -> bytes:
    """The encoded bytes; a file is read from where it stands.

    Raises:
        OSError: The file cannot be read.
        TypeError: This is no image, or a file opened in text mode.
        ValueError: A Pillow image or an array that PNG cannot hold without loss.
    """
    if isinstance(image, str | os.PathLike):
        return Path(image).read_bytes()
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if _is_a(image, "PIL.Image", "Image"):
        return _png(cast("PIL.Image.Image", image))
    if _is_a(image, "numpy", "ndarray"):
        return _png_of_array(cast("Array", image))
    reads = getattr(image, "read", None)
    if reads is None:
        raise TypeError(
            "an image is a path, bytes, a binary file, a Pillow image or a NumPy array, not "
            f"{type(image).__name__}"
        )
    content = reads()
    if not isinstance(content, bytes):
        raise TypeError("the file was opened as text; open it in binary mode ('rb')")
    return content


def name(image: Image, index: int) -> str:
    """The name of the image in results: its path as given, else its place among the others."""
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    called = getattr(image, "name", None)
    return called if isinstance(called, str) else f"image {index}"


def _is_a(image: object, module: str, kind: str) -> bool:
    """Whether it is of a class whose module somebody has imported: else it cannot be."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(image, getattr(loaded, kind))


def _png(image: "PIL.Image.Image") -> bytes:
    """PNG of a Pillow image, upright as its EXIF orientation says."""
    from PIL import ImageOps  # noqa: PLC0415 - an optional package

    if image.mode not in _KEPT_BY_PNG:
        raise ValueError(
            f"a Pillow image of mode {image.mode} would lose by being sent as PNG: pass its file, "
            'or say how it becomes RGB, as image.convert("RGB")'
        )
    file = BytesIO()
    ImageOps.exif_transpose(image).save(file, "PNG")
    return file.getvalue()


def _png_of_array(array: Array) -> bytes:
    if str(array.dtype) != "uint8" or len(array.shape) != _RGB or array.shape[-1] != _RGB:
        shape = ", ".join(map(str, array.shape))
        raise ValueError(
            f"an array is an image if it is uint8 RGB [H, W, 3], not {array.dtype} [{shape}]"
        )
    try:
        from PIL import Image as pillow  # noqa: N813, PLC0415 - an optional package
    except ImportError:
        raise ValueError(
            "an array is sent as PNG, which Pillow makes: pip install pillow"
        ) from None
    return _png(pillow.fromarray(array))
