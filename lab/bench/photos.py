"""The photos that are asked about: drawings of mucosa as JPEG files."""

from pathlib import Path

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

    folder.mkdir(parents=True, exist_ok=True)
    for index in range(PHOTOS):
        drawing = drawings.draw(index % 2, _FIRST_SEED + index, *size)
        part = folder / f"{index:02}.part"
        drawing.save(part, format="JPEG", quality=_QUALITY)
        part.rename(part.with_suffix(".jpg"))
    return folder
