"""`python -m lab.page_pictures`: takes the README's pictures of the page from a running service.

It starts a service of the demo weights, chooses a sample on the page as a user does, and waits for
its answer. The weights have to be there: `python -m demo PIPELINE --if-missing`.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal

import typer
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from lab.errors import LabError
from lab.paths import CACHE, ROOT
from lab.service.service import Service
from pipelines.atomic_write import write_bytes
from pipelines.load import SpecError

FOLDER = ROOT / "docs" / "page"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_WIDTH, _HEIGHT = 1440, 900
_COLOURS = 256
_ANSWER_MILLISECONDS = 120_000
_CANNOT = 2


@dataclass(frozen=True)
class Picture:
    """What is to be seen on one."""

    name: str
    pipeline: str
    sample: str
    theme: Literal["light", "dark"]
    shows: str
    """A part of the page that is there once the answer is."""


PICTURES = (
    Picture("decision", "oral_cancer", "cancer.jpg", "dark", ".headline-class"),
    Picture("findings", "cervical_lesions", "colposcopy.jpg", "light", ".overlay"),
)


def take(browser: Browser, url: str, picture: Picture) -> bytes:
    """One picture of the page at an address, as PNG of 256 colours."""
    context = browser.new_context(
        viewport={"width": _WIDTH, "height": _HEIGHT},
        color_scheme=picture.theme,
        locale="en",
        reduced_motion="reduce",
    )
    try:
        page = context.new_page()
        page.goto(url)
        _ask(page, picture)
        shot = page.screenshot()
    finally:
        context.close()
    content = BytesIO()
    Image.open(BytesIO(shot)).convert("RGB").quantize(_COLOURS).save(content, "PNG", optimize=True)
    return content.getvalue()


def _ask(page: Page, picture: Picture) -> None:
    page.wait_for_selector(".chooser")
    page.select_option("#pipeline", picture.pipeline)
    page.set_input_files("[data-input=files]", ROOT / "samples" / picture.sample)
    page.wait_for_selector(picture.shows, timeout=_ANSWER_MILLISECONDS)
    # Pictures of the photo are decoded beside the page's own work.
    page.wait_for_function("() => [...document.images].every(({ complete }) => complete)")


@contextmanager
def launched() -> Iterator[Browser]:
    """A Chromium of this machine.

    Raises:
        LabError: there is none.
    """
    paths = [path for name in _BROWSERS if (path := shutil.which(name))]
    if not paths:
        raise LabError("no Chromium: as root: apt-get install chromium")
    with sync_playwright() as playwright:
        # Its own sandbox refuses to run as root, as in a container.
        browser = playwright.chromium.launch(executable_path=paths[0], args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def main(
    folder: Annotated[Path, typer.Option(help="Where the pictures go.", file_okay=False)] = FOLDER,
    repository: Annotated[
        Path, typer.Option(help="Triton's model repository.", exists=True, file_okay=False)
    ] = ROOT / "model_repository",
    log: Annotated[Path, typer.Option(help="Takes what the service prints.")] = CACHE
    / "logs"
    / "service.log",
) -> None:
    """Takes all pictures, each from the same running service."""
    names: Sequence[str] = [picture.pipeline for picture in PICTURES]
    try:
        sys.stderr.write(f"starting a service of {', '.join(names)}; its log: {log}\n")
        with Service(names, repository.absolute(), log=log) as service, launched() as browser:
            folder.mkdir(parents=True, exist_ok=True)
            for picture in PICTURES:
                path = folder / f"{picture.name}.png"
                write_bytes(path, take(browser, service.url, picture))
                sys.stdout.write(f"{path}\n")
    except (LabError, SpecError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        raise typer.Exit(_CANNOT) from None


if __name__ == "__main__":
    typer.run(main)
