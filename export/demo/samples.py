"""`python -m export.demo.samples`: writes the photos that the README sends to the service."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from export.demo.drawings import draw

ROOT = Path(__file__).parent.parent.parent
# Whether it shows a lesion, and a seed whose drawing is a clear case.
SAMPLES = {"healthy": (False, 8), "cancer": (True, 9)}
WIDTH, HEIGHT = 640, 480
_QUALITY = 90
screen = Console(stderr=True)


def main(
    folder: Annotated[Path, typer.Option(help="Where to write them.")] = ROOT / "samples",
) -> None:
    """Writes one clear drawing of each class as a JPEG photo of 640 x 480."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (positive, seed) in SAMPLES.items():
        path = folder / f"{name}.jpg"
        draw(positive, seed, WIDTH, HEIGHT).save(path, quality=_QUALITY)
        screen.print(f"wrote {path}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
