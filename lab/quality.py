"""`python -m lab.quality`: the share of good and spoiled drawings warned of; for docs/quality.md.

The good ones are drawings of each pipeline's own kind as JPEG photos; the spoiled ones are copies
of them, each worse in one way.
"""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter
from rich.console import Console

from demo import lesions, scenes
from demo.subject import subject_for
from evaluation.metrics import intervals
from export import photos
from export.progress import Steps, shown_on
from inference.decode import decode
from inference.quality import judge
from lab import markdown
from lab.paths import ROOT
from pipelines.enums import QualityWarning, Task
from pipelines.load import available, load_spec
from pipelines.spec import PipelineSpec

COMMAND = "python -m lab.quality"
PAGE = ROOT / "docs" / "quality.md"
_FIRST_SEED = 2**51
"""Of no training, and of none of the drawings that the bounds were set by."""
_SIZES = ((640, 480), (480, 640), (512, 512), (800, 600))
_GOOD = 90
"""JPEG quality of the good ones, and of copies of them."""
screen = Console(stderr=True)

Judged = NDArray[np.int32]
"""[photos, 6]: as the tensor `quality_warnings`."""


def _jpeg(image: Image.Image, quality: int = _GOOD) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _blurred(image: Image.Image) -> bytes:
    return _jpeg(image.filter(ImageFilter.GaussianBlur(min(image.size) / 100)))


def _lit(factor: float) -> Callable[[Image.Image], bytes]:
    return lambda image: _jpeg(ImageEnhance.Brightness(image).enhance(factor))


def _tiny(image: Image.Image) -> bytes:
    scale = 100 / min(image.size)
    return _jpeg(image.resize((round(image.width * scale), round(image.height * scale))))


def _recompressed(image: Image.Image) -> bytes:
    return _jpeg(Image.open(BytesIO(_jpeg(image, 10))))


SPOILED: dict[QualityWarning, tuple[str, Callable[[Image.Image], bytes]]] = {
    QualityWarning.BLURRED: ("blurred by a Gaussian of 1 % of the short side", _blurred),
    QualityWarning.DARK: ("a fifth of each value", _lit(0.2)),
    QualityWarning.OVEREXPOSED: ("four times each value, clipped", _lit(4)),
    QualityWarning.SMALL: ("a short side of 100 pixels", _tiny),
    QualityWarning.RECOMPRESSED: ("JPEG of quality 10, saved again at 90", _recompressed),
}
"""By the warning that each copy must have: what was done, and how."""


def good_drawings(spec: PipelineSpec, count: int) -> Iterator[Image.Image]:
    """Drawings of a pipeline's own kind, of several sizes."""
    for index in range(count):
        seed, (width, height) = _FIRST_SEED + index, _SIZES[index % len(_SIZES)]
        if spec.task is Task.CLASSIFICATION:
            subject = subject_for(spec)
            yield subject.draw(index % subject.classes, seed, width, height)
        else:
            draw = lesions.draw if spec.task is Task.SEGMENTATION else scenes.draw
            yield draw(seed, width, height).image


def judge_copies(
    spec: PipelineSpec, count: int, on_drawing: Callable[[], None] = lambda: None
) -> tuple[Judged, dict[QualityWarning, Judged]]:
    """The warnings of good drawings, and those of their spoiled copies."""
    rules = photos.decode_rules(spec)
    good: list[Judged] = []
    spoiled: dict[QualityWarning, list[Judged]] = {warning: [] for warning in SPOILED}
    for image in good_drawings(spec, count):
        good.append(judge(decode(_jpeg(image), rules).measures, rules.quality))
        for warning, (_, spoil) in SPOILED.items():
            spoiled[warning].append(judge(decode(spoil(image), rules).measures, rules.quality))
        on_drawing()
    return np.stack(good), {warning: np.stack(rows) for warning, rows in spoiled.items()}


def main(
    count: Annotated[int, typer.Option(min=1, help="Drawings of each pipeline.")] = 300,
) -> None:
    """Judges good drawings and spoiled copies by the bounds of the YAML files."""
    rows = []
    names = available()
    with shown_on(screen) as on_progress:
        steps = Steps(len(names) * count, on_progress)
        for name in names:
            steps.begin(f"{name}: judging drawings")
            good, spoiled = judge_copies(load_spec(name), count, steps.advance)
            rows.append([f"`{name}`", _share((good == 1).any(axis=1)), *_caught(spoiled)])
    head = ["pipeline", "good ones warned of", *(f"`{warning}`" for warning in SPOILED)]
    made = "\n".join(f"- `{warning}`: {what}" for warning, (what, _) in SPOILED.items())
    text = (
        f"Written by `{COMMAND}`, of {count} drawings for each pipeline. Good ones: any warning, "
        "with the 95 % interval. Spoiled copies of the same drawings: the share that has its own "
        f"warning.\n\n{markdown.table(head, rows)}\nThe copies:\n\n{made}\n"
    )
    markdown.replace_section(PAGE, "figures", text)
    screen.print(f"wrote {PAGE}", highlight=False, soft_wrap=True)


def _caught(spoiled: dict[QualityWarning, Judged]) -> list[str]:
    order = list(QualityWarning)
    return [
        f"{(judged[:, order.index(warning)] == 1).mean():.1%}"
        for warning, judged in spoiled.items()
    ]


def _share(warned: NDArray[np.bool_]) -> str:
    found = intervals.share(int(warned.sum()), len(warned))
    assert found is not None  # noqa: S101 - there is one drawing at least
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"


if __name__ == "__main__":
    typer.run(main)
