"""Finds the photos in a folder by what its files hold, whatever their names."""

import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_HEAD_BYTES = 132
_IMAGES = (
    (0, b"\xff\xd8\xff"),  # JPEG, also as .jfif, .jpe, .mpo
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"GIF8"),
    (8, b"WEBP"),
    (0, b"BM"),
    (0, b"II*\0"),  # TIFF in either byte order, then BigTIFF
    (0, b"MM\0*"),
    (0, b"II+\0"),
    (0, b"MM\0+"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n"),  # JPEG 2000
    (0, b"\xff\x4f\xff\x51"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n"),  # JPEG XL
    (0, b"\xff\x0a"),
)
"""Where an image begins with what. The service says which formats it reads, and names others."""
_ISO_MEDIA_BRANDS = frozenset(
    {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis"}
)
_DICOM = (128, b"DICM")
_SYSTEM_FILES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory"})
_SYSTEM_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin"})


@dataclass
class PhotoFiles:
    """The files of a folder, each list sorted by path."""

    photos: list[Path] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)
    """Files that hold no image, and why they are none."""

    def all(self) -> list[Path]:
        """Both, sorted by path."""
        return sorted([*self.photos, *self.left_out])


def below(folder: Path, *, passing_over: Collection[Path] = ()) -> PhotoFiles:
    """The photos in a folder and its folders.

    Folders that are linked are searched once. Files of an operating system (`._*`, `.DS_Store`,
    `Thumbs.db`, `desktop.ini`), hidden folders and hidden files that hold no image are passed over.

    Args:
        folder: to search.
        passing_over: files and folders that are none of the photos', as results.

    Raises:
        OSError: a folder cannot be listed.
    """
    found, reasons = PhotoFiles(), dict[Path, str]()
    others = {path.resolve() for path in passing_over}
    for path in _files(folder, others):
        reason = _why_no_photo(path)
        if reason is None:
            found.photos.append(path)
        elif not path.name.startswith("."):
            reasons[path] = reason
    found.photos.sort()
    found.left_out = dict(sorted(reasons.items()))
    return found


def is_photo(path: Path) -> bool:
    """Whether a file holds an image."""
    return _why_no_photo(path) is None


def _files(folder: Path, others: Collection[Path]) -> Iterator[Path]:
    """All files; folders that lie there before those that are linked."""
    seen: set[tuple[int, int]] = set()
    own, linked = [folder], list[Path]()
    while own or linked:
        here = own.pop() if own else linked.pop()
        status = here.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for path in sorted(here.iterdir(), reverse=True):
            if others and path.resolve() in others:
                continue
            if not path.is_dir():
                if not _of_the_system(path.name):
                    yield path
            elif not path.name.startswith(".") and path.name.lower() not in _SYSTEM_FOLDERS:
                (linked if path.is_symlink() else own).append(path)


def _of_the_system(name: str) -> bool:
    return name.startswith("._") or name.lower() in _SYSTEM_FILES


def _why_no_photo(path: Path) -> str | None:
    """Why a file holds no image; None if it does."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # A pipe would be waited for without end.
            return "is no ordinary file"
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        return error.strerror or str(error)
    if not head:
        return "is empty"
    if _is_image(head):
        return None
    if _begins(head, *_DICOM):
        return "is DICOM: export its image as PNG or JPEG"
    return "is no image"


def _is_image(head: bytes) -> bool:
    if any(_begins(head, *image) for image in _IMAGES):
        return True
    return _begins(head, 4, b"ftyp") and head[8:12] in _ISO_MEDIA_BRANDS


def _begins(head: bytes, offset: int, with_these: bytes) -> bool:
    return head[offset : offset + len(with_these)] == with_these


def described(left_out: dict[Path, str], most: int = 10) -> str:
    """What was left out, counted and named in one line, by path."""
    named = [f"{path}: {reason}" for path, reason in sorted(left_out.items())[:most]]
    more = f" and {len(left_out) - most} more" if len(left_out) > most else ""
    files = "1 file" if len(left_out) == 1 else f"{len(left_out)} files"
    return f"{files} left out: {'; '.join(named)}{more}"
