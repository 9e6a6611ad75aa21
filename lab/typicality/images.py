"""Groups of images that are of no pipeline's kind, and near ones that are changed drawings."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from demo.reference import photo
from lab.errors import LabError
from pipelines.spec import PipelineSpec

PICTURES = Path(".cache", "scikit-image-0.26", "skimage", "data")
"""The pictures that the wheel of scikit-image ships; `make typicality` gets them."""
OWN, FAR, NEAR = 500, 30, 30
"""Images of a group: a pipeline's own kind, another one, a changed drawing."""
_FIRST_SEED = 2**52
_SIZE = (640, 480)
_TEXT = (
    "the patient was seen on monday and the next visit is in two weeks blood pressure and pulse "
    "are as before no pain no fever please bring this letter and the list of all medicines with you"
)

Draw = Callable[[int], bytes]
"""An encoded image of a group, by its number."""


def own(spec: PipelineSpec) -> Draw:
    """Drawings of a pipeline's kind that no training and no reference saw."""
    return lambda number: photo(spec, _FIRST_SEED + number)


def far() -> dict[str, Draw]:
    """Images that are of no pipeline's kind, by the group's name."""
    return {"noise": _noise, "one colour": _one_colour, "pages of text": _page}


def photographs(folder: Path = PICTURES) -> list[bytes]:
    """Real photographs and other real pictures, as they lie in the folder.

    Raises:
        LabError: there are none.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix in {".png", ".jpg", ".gif"})
    if not paths:
        raise LabError(f"{folder}: no pictures in it: run `make typicality`, which gets them")
    return [path.read_bytes() for path in paths]


def near(made: Draw) -> dict[str, Draw]:
    """Drawings of a pipeline's own kind, changed, by what was changed."""
    changes: dict[str, Callable[[Image.Image], Image.Image]] = {
        "upside down": lambda image: image.rotate(180),
        "red and blue swapped": lambda image: Image.merge("RGB", image.split()[::-1]),
        "in warm light": lambda image: _lit(image, (1.15, 1.0, 0.75)),
        "half as bright": lambda image: _lit(image, (0.5, 0.5, 0.5)),
        "mirrored text over it": _written_over,
        "a screenshot of it": _screenshot,
    }

    def changed(change: Callable[[Image.Image], Image.Image]) -> Draw:
        return lambda number: _jpeg(change(Image.open(io.BytesIO(made(number)))))

    return {name: changed(change) for name, change in changes.items()}


def drawn(draw: Draw, count: int) -> Iterator[bytes]:
    """So many images of a group."""
    return map(draw, range(count))


def _noise(number: int) -> bytes:
    random = np.random.default_rng(number)
    width, height = _SIZE
    coarse = int(random.choice([1, 1, 2, 4]))
    pixels = random.integers(0, 256, (height // coarse, width // coarse, 3), dtype=np.uint8)
    return _jpeg(Image.fromarray(pixels).resize(_SIZE, Image.Resampling.NEAREST))


def _one_colour(number: int) -> bytes:
    colour = np.random.default_rng(number).integers(0, 256, 3).tolist()
    return _jpeg(Image.new("RGB", _SIZE, tuple(colour)))


def _page(number: int) -> bytes:
    random = np.random.default_rng(number)
    image = Image.new("RGB", _SIZE[::-1], (250, 250, 246))
    size = int(random.integers(14, 26))
    _write(image, random, size, fill=(25, 25, 30))
    return _jpeg(image)


def _write(
    image: Image.Image, random: np.random.Generator, size: int, fill: tuple[int, int, int]
) -> None:
    """Lines of words over an image, in place."""
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for top in range(2 * size, image.height - 2 * size, round(1.6 * size)):
        line = " ".join(random.choice(_TEXT.split(), max(2, round(1.4 * image.width / size / 5))))
        pen.text((2 * size, top), line, fill=fill, font=font)


def _written_over(image: Image.Image) -> Image.Image:
    mirrored = ImageOps.mirror(image)
    _write(mirrored, np.random.default_rng(0), 28, fill=(255, 255, 255))
    return ImageOps.mirror(mirrored)


def _screenshot(image: Image.Image) -> Image.Image:
    """The image in a window of a viewer, with bars at the top and at a side."""
    width, height = image.size
    screen = Image.new("RGB", (width * 3 // 2, height * 4 // 3), (236, 238, 242))
    pen, font = ImageDraw.Draw(screen), ImageFont.load_default(16)
    pen.rectangle((0, 0, screen.width, 34), fill=(45, 62, 90))
    pen.text((14, 8), "Viewer    File    Edit    Help", fill=(255, 255, 255), font=font)
    for row in range(60, screen.height - 20, 30):
        pen.text((14, row), f"image {row}", fill=(60, 60, 70), font=font)
    screen.paste(image, (width // 4, height // 6))
    return screen


def _lit(image: Image.Image, gains: tuple[float, float, float]) -> Image.Image:
    pixels = np.asarray(image, np.float32) * np.array(gains, np.float32)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _jpeg(image: Image.Image) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=90)
    return encoded.getvalue()
