"""The photos of the load generators: drawings of what each pipeline looks at, as JPEG files."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from lab.paths import CACHE
from pipelines import atomic_write
from pipelines.protocol import DEFAULT_PIPELINE

PHOTOS = 32
_QUALITY = 90
_FIRST_SEED = 5000


def ensure(
    folder: Path, size: tuple[int, int] = (640, 480), pipeline: str = DEFAULT_PIPELINE
) -> Path:
    """Draws them where they are not yet; the same ones on every machine with this Pillow.

    Args:
        folder: of this size and pipeline alone.
        size: width and height.
        pipeline: whose photos they are; of an unknown one they are of mucosa.

    Returns:
        The folder.
    """
    if len(list(folder.glob("*.jpg"))) == PHOTOS:
        return folder
    draw = _drawn(pipeline)
    for index in range(PHOTOS):
        drawing = draw(index, *size)
        with atomic_write.replacing(folder / f"{index:02}.jpg") as beside:
            drawing.save(beside, format="JPEG", quality=_QUALITY)
    return folder


def ensure_for(pipeline: str, size: tuple[int, int]) -> Path:
    """Those of a pipeline, in the lab's cache; see `ensure`."""
    name = "photos-{}x{}".format(*size)
    name += "" if pipeline == DEFAULT_PIPELINE else f"-{pipeline}"
    return ensure(CACHE / name, size, pipeline)


def _drawn(pipeline: str) -> Callable[[int, int, int], Image.Image]:
    """Draws a photo by its number, width and height."""
    # Not needed once they are drawn.
    from demo import drawings, histology, lesions, scenes, snakes  # noqa: PLC0415

    first = _FIRST_SEED
    return {
        "mhist": lambda number, *size: histology.draw(number % 2, first + number, *size),
        "snake_species": lambda number, *size: snakes.draw(
            number % snakes.SPECIES, first + number, *size
        ),
        "object_detection": lambda number, *size: scenes.draw(first + number, *size).image,
        "cervical_lesions": lambda number, *size: lesions.draw(first + number, *size).image,
    }.get(pipeline, lambda number, *size: drawings.draw(number % 2, first + number, *size))
