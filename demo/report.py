"""`python -m demo.report`: writes docs/demo.md from the committed figures."""

from pathlib import Path
from typing import Annotated

import typer

from demo import drawings, histology, snakes, widening
from demo.calibration import CHECKED, PHOTOS, DemoCalibration
from demo.figures import CHECKPOINTS, Figures
from demo.report_text import TEXT
from export.console import screen
from pipelines import atomic_write
from pipelines.calibration import Estimate
from pipelines.load import available

ROOT = Path(__file__).parent.parent
COMMAND = "python -m demo.report"


def main(
    output: Annotated[Path, typer.Option(help="The file to write.")] = ROOT / "docs" / "demo.md",
) -> None:
    """Writes what the committed weights are, and how good they are on drawings."""
    folders = [CHECKPOINTS / name for name in available()]
    text = TEXT.format(
        command=COMMAND,
        hard_mucosa=drawings.HARD_SHARE,
        hard_histology=histology.HARD_SHARE,
        hard_snakes=snakes.HARD_SHARE,
        tables="\n\n".join(map(_table, folders)),
        photos=PHOTOS // 2,
        checked=CHECKED,
        megabytes=sum(map(_megabytes, folders)),
        tolerance=widening.TOLERANCE,
    )
    atomic_write.write_text(output, text)
    screen.print(f"wrote {output}", highlight=False, soft_wrap=True)


def _table(folder: Path) -> str:
    """One pipeline's title, facts and figures."""
    made = Figures.read(folder)
    facts = (
        f"Seed {made.seed}, trained on {made.drawings} drawings in {made.cpu_seconds:.0f} s of CPU "
        f"time, measured on {made.held_out} others; {_megabytes(folder):.1f} MB."
    )
    rows = [f"| {title} | {value:.3f} |" for title, value in made.figures.items()]
    recipes = [
        f"| {name}, {setting} | {value:g} |"
        for name, settings in made.recipe.items()
        for setting, value in settings.items()
        if value
    ]
    table = ["| | |", "|---|---|", *rows, *recipes]
    return "\n".join([f"### `{folder.name}`", "", facts, "", *table, *_calibration(folder)])


def _calibration(folder: Path) -> list[str]:
    """The lines about temperatures and prediction sets; none of a detector."""
    found = DemoCalibration.read(folder)
    if found is None:
        return []
    rows = [
        f"| `{name}` | {each.figures.temperature:.3f} | {_error(each.figures.error_before)} | "
        f"{_error(each.figures.error_after)} |"
        for name, each in found.members.items()
    ]
    answers = f"| as served | | {_error(found.error_before)} | {_error(found.error_after)} |"
    sets = found.checked
    classes = ", ".join(f"{name} {value:.3f}" for name, value in sets.coverage_of_class.items())
    text = (
        f"On {sets.drawings} further drawings, sets for 95 % held the true class in "
        f"{_error(sets.coverage)} ({classes}). They had {sets.mean_size:.2f} classes on average; "
        f"{sets.empty:.1%} had none. No call would be made about {sets.no_call:.1%}."
    )
    head = ["| | temperature | calibration error before | after |", "|---|---|---|---|"]
    return ["", *head, *rows, answers, "", text]


def _error(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    typer.run(main)
