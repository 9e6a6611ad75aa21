"""The photos of the load generators: drawings of mucosa as JPEG files."""

from pathlib import Path

from pipelines import atomic_write

PHOTOS = 32
_QUALITY = 90
_FIRST_SEED = 5000


def ensure(folder: Path, size: tuple[int, int] = (640, 480)) -> Path:
    """Draws them where they are not yet; the same ones on every machine with this Pillow.

    Args:
        folder: of this size alone.
        size: width and height.

    Returns:
        The folder.
    """
    if len(list(folder.glob("*.jpg"))) == PHOTOS:
        return folder
    from demo import drawings  # noqa: PLC0415 - not needed once they are drawn

    for index in range(PHOTOS):
        drawing = drawings.draw(index % 2, _FIRST_SEED + index, *size)
        with atomic_write.replacing(folder / f"{index:02}.jpg") as beside:
            drawing.save(beside, format="JPEG", quality=_QUALITY)
    return folder
