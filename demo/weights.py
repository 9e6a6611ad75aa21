"""`python -m demo.weights`: trains the demo weights anew, and compares their figures."""

import tempfile
import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table

from demo import training
from demo.figures import CHECKPOINTS, FILENAME, Figures
from export.arguments import ALL, names
from export.console import say, screen
from export.errors import ExportError
from export.progress import shown_on
from pipelines import atomic_write
from pipelines.load import FOLDER, SpecError, load_spec
from pipelines.spec import PipelineSpec

# Of the figures, those that are no measure of quality, and those of few drawings.
_NOT_COMPARED = ("members opposed", "six RGB", "detections", "objects", "hard cases alone")
# How far below a committed figure one that is measured anew may lie. Trainings on another machine
# or with another number of threads round differently, and a held-out drawing is 0.002 of 500.
TOLERANCE = 0.03


def main(
    pipelines: Annotated[
        str, typer.Argument(metavar="PIPELINE", help="One, several with commas between, or `all`.")
    ] = ALL,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Put what was trained in place of what is committed."),
    ] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of drawings and training; the committed one's.")
    ] = None,
) -> None:
    """Trains demo weights from nothing on drawings, and measures them on held-out ones.

    Takes 5 to 30 minutes for each pipeline on two cores. Exit code 1 where a figure lies more than
    0.03 below the committed one.
    """
    worse = False
    try:
        for name in names(pipelines, FOLDER):
            worse |= _trained_anew(load_spec(name), seed, keep=keep)
    except (ExportError, SpecError) as error:
        say(error)
        raise typer.Exit(1) from None
    raise typer.Exit(1 if worse and not keep else 0)


def record(spec: PipelineSpec, folder: Path, seed: int) -> Figures:
    """Trains a pipeline's weights into a folder and writes their figures beside them."""
    began = time.process_time()
    with shown_on(screen) as on_progress:
        made = training.train(spec, folder, seed, on_progress)
    figures = Figures(
        pipeline=spec.name,
        seed=seed,
        drawings=made.drawings,
        held_out=made.held_out,
        recipe=made.recipe,
        figures=made.figures,
        cpu_seconds=round(time.process_time() - began),
        torch=torch.__version__,
    )
    atomic_write.write_text(folder / FILENAME, figures.model_dump_json(indent=2) + "\n")
    return figures


def lower(committed: Figures, anew: Figures) -> list[str]:
    """The figures that lie more than `TOLERANCE` below the committed ones."""
    return [
        title
        for title, value in committed.figures.items()
        if not any(words in title for words in _NOT_COMPARED)
        and not anew.figures.get(title, 0.0) >= value - TOLERANCE
    ]


def _trained_anew(spec: PipelineSpec, seed: int | None, *, keep: bool) -> bool:
    """Trains one pipeline's; returns whether a figure is lower than the committed one."""
    place = CHECKPOINTS / spec.name
    committed = Figures.read(place) if (place / FILENAME).is_file() else None
    if seed is None:
        seed = committed.seed if committed else 0
    screen.print(f"{spec.name}, seed {seed}", style="bold", highlight=False)
    CHECKPOINTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CHECKPOINTS, prefix=".training-") as scratch:
        folder = Path(scratch) / spec.name
        anew = record(spec, folder, seed)
        screen.print(anew.summary(), highlight=False, soft_wrap=True)
        if keep:
            if place.exists():
                place.rename(Path(scratch) / "before")
            folder.rename(place)
    if committed is None:
        return False
    worse = lower(committed, anew)
    table = Table("figure", "committed", "anew")
    for title, value in committed.figures.items():
        style = "red" if title in worse else None
        table.add_row(title, f"{value:.3f}", f"{anew.figures.get(title, 0.0):.3f}", style=style)
    screen.print(table)
    return bool(worse)


if __name__ == "__main__":
    typer.run(main)
