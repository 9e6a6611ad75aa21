"""The images that callers pass (path, bytes or file): their type, their bytes and their names."""

import os
from pathlib import Path
from typing import BinaryIO

Image = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A path, the encoded bytes (JPEG, PNG, ...), or a file opened in binary mode."""


def read(image: Image) -> bytes:
    """The encoded bytes; a file is read from where it stands.

    Raises:
        OSError: The file cannot be read.
        TypeError: This is no image, or a file opened in text mode.
    """
    if isinstance(image, str | os.PathLike):
        return Path(image).read_bytes()
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if not hasattr(image, "read"):
        raise TypeError(f"an image is a path, bytes or a binary file, not {type(image).__name__}")
    content = image.read()
    if not isinstance(content, bytes):
        raise TypeError("the file was opened as text; open it in binary mode ('rb')")
    return content


def name(image: Image, index: int) -> str:
    """The name of the image in results: its path as given, else its place among the others."""
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    called = getattr(image, "name", None)
    return called if isinstance(called, str) else f"image {index}"
