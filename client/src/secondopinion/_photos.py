"""Finds the photos that a command line names."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


def find(paths: Iterable[Path]) -> list[Path]:
    """Files as they are named, directories as the images below them, sorted.

    A file that is named is taken whatever its suffix: the service judges what it is.

    Raises:
        FileNotFoundError: A path does not exist, or a directory holds no image.
        OSError: A directory cannot be listed; leaving its photos out silently would be worse.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += _below(path)
        elif path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(f"{path}: no such file or directory")
    return found


def _below(directory: Path) -> list[Path]:
    photos = sorted(
        Path(parent, name)
        for parent, _, names in os.walk(directory, onerror=_refuse)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES
    )
    if not photos:
        known = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        raise FileNotFoundError(f"{directory}: no photos in this directory ({known})")
    return photos


def _refuse(error: OSError) -> NoReturn:
    raise OSError(f"{error.filename}: {error.strerror}")
