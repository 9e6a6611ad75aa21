"""Writes the pictures that the service drew, one PNG file for each photo."""

import os
from collections import Counter
from pathlib import Path

from secondopinion._atomic_write import atomic_write


class Pictures:
    """Files below a directory, one for each photo.

    The folders of the photos are mirrored, so equal names in different ones do not meet. Within a
    folder a picture is called as its photo, with `.png` in place of the suffix; where that name
    would belong to several photos (`a.jpg` and `a.tif`), `.png` comes after the suffix.
    """

    def __init__(self, directory: Path, photos: list[Path], searched: list[Path]) -> None:
        """Names a picture for each photo; `searched` are the folders that photos were found in.

        Raises:
            ValueError: The pictures would stand among the photos, and be taken for some of them.
        """
        folders = {_absolute(photo.parent) for photo in photos}
        roots = {_absolute(folder) for folder in searched}
        self._directory = directory
        self._base = os.path.commonpath(folders | roots)
        names = [self._relative(photo) for photo in photos]
        # Compared without case, as some file systems do.
        self._stems = Counter(_key(name.with_suffix("")) for name in names)
        self._names = {_key(name) for name in names}
        top = _absolute(directory)
        below = {top / folder.relative_to(self._base) for folder in folders}
        if below & folders or roots & {top, *top.parents}:
            raise ValueError(
                f"--visualization: there are photos in {directory}, and its pictures would be "
                "taken for some; name a folder of their own"
            )

    def path(self, photo: Path) -> Path:
        """The path of this photo's picture."""
        name = self._relative(photo)
        stem = _key(name.with_suffix(""))
        if self._stems[stem] > 1 or stem in self._names:
            return self._directory / name.with_name(f"{name.name}.png")
        return self._directory / name.with_suffix(".png")

    def save(self, photo: Path, content: bytes) -> Path:
        """Writes the picture of this photo.

        Raises:
            OSError: It cannot be written.
        """
        path = self.path(photo)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            part.write_bytes(content)
        return path

    def _relative(self, photo: Path) -> Path:
        return _absolute(photo).relative_to(self._base)


def _absolute(path: Path) -> Path:
    # Without "..", and without following links: a linked photo keeps its own place.
    return Path(os.path.abspath(path))  # noqa: PTH100


def _key(path: Path) -> str:
    return str(path).casefold()
