"""The photos that are sent: files with answers known in advance."""

from dataclasses import dataclass
from pathlib import Path

from loadtest.errors import LoadtestError
from pipelines.formats import ImageFormat

SAMPLES = Path(__file__).parents[1] / "samples"
_SUFFIXES = {suffix for each in ImageFormat for suffix in each.suffixes}


@dataclass(frozen=True, slots=True)
class Photo:
    """An encoded image and the name it is known by."""

    name: str
    data: bytes


def read_photos(folder: Path = SAMPLES) -> list[Photo]:
    """The folder's images, by name.

    Raises:
        LoadtestError: the folder cannot be read or has none.
    """
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
        photos = [Photo(file.name, file.read_bytes()) for file in files]
    except OSError as error:
        raise LoadtestError(
            f"{folder}: {error.strerror}; name a folder of images with --photos"
        ) from error
    if not photos:
        raise LoadtestError(f"{folder}: has no images; name a folder of images with --photos")
    return photos
