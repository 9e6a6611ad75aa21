"""`python -m demo.samples`: writes the sample photos of the README."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from rich.console import Console

from demo import drawings, histology, lesions, scenes, snakes

ROOT = Path(__file__).parent.parent
WIDTH, HEIGHT = 640, 480
_SIZE = (WIDTH, HEIGHT)
# A clear case each: drawn from the class, where there is one for the image, and a seed.
SAMPLES: dict[str, Callable[[], Image.Image]] = {
    "healthy": lambda: drawings.draw(0, 8, *_SIZE),
    "cancer": lambda: drawings.draw(1, 9, *_SIZE),
    "polyp": lambda: histology.draw(1, 1, *_SIZE),
    "snake": lambda: snakes.draw(8, 4, *_SIZE),
    "colposcopy": lambda: lesions.draw(1, *_SIZE).image,
    "objects": lambda: scenes.draw(2, *_SIZE).image,
}
_QUALITY = 90
screen = Console(stderr=True)


def main(
    folder: Annotated[Path, typer.Option(help="Where to write them.")] = ROOT / "samples",
) -> None:
    """Writes one clear drawing of each kind as a JPEG photo of 640 x 480."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, drawn in SAMPLES.items():
        path = folder / f"{name}.jpg"
        drawn().save(path, quality=_QUALITY)
        screen.print(f"wrote {path}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
