"""`python -m lab.scale`: measures how cost grows, and writes its section of docs/scale.md."""

import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from export.errors import ExportError
from lab import machine
from lab.errors import LabError
from lab.markdown import replace_section
from lab.options import MODEL_REPOSITORY, Repository
from lab.paths import CACHE, ROOT
from lab.scale import plot, sizing, sizing_tables, tables
from lab.scale.raw import Scale
from lab.scale.run import QUICK, Extent, Run
from lab.scale.trial import PIPELINE
from pipelines.load import SpecError, available

SECTION = "measured"
_PAGE = ROOT / "docs" / "scale.md"
_GPU = ROOT / "docs" / "performance" / "gpu.json"
screen = Console(stderr=True, highlight=False, soft_wrap=True)


def main(  # noqa: PLR0917 - the command line
    pipelines: Annotated[
        str, typer.Option(help="The first is always oral_cancer; some others, or 'all'.")
    ] = "all",
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Seconds for each point.")
    ] = Extent.seconds,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few short points, to see that everything works.")
    ] = False,
    redraw: Annotated[
        bool, typer.Option("--redraw", help="Only write the page anew, from the kept data.")
    ] = False,
    repository: Repository = MODEL_REPOSITORY,
    output: Annotated[
        Path | None, typer.Option(help="The page; raw data go to a folder beside. [docs/scale.md]")
    ] = None,
) -> None:
    """Measures latency, memory and CPU time as photos, batches, callers and pipelines grow.

    Takes about ten minutes on two cores. With --quick the page goes to .cache/bench/scale.md
    unless --output says otherwise.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    page = output or (CACHE / "scale.md" if quick else _PAGE)
    kept = page.with_suffix("") / "scale.json"
    try:
        if redraw and not kept.is_file():
            raise LabError(f"{kept} is not there: leave --redraw out")  # noqa: TRY301
        scale = Scale.read(kept) if redraw else _measure(pipelines, seconds, quick, repository)
        for path in _write(scale, page, kept):
            screen.print(f"wrote {path}")
    except (LabError, ExportError, SpecError) as error:
        screen.print(f"[red]error:[/] {escape(str(error))}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        screen.print("stopped; nothing was written")
        raise typer.Exit(130) from None


def _measure(pipelines: str, seconds: float, quick: bool, repository: Path) -> Scale:
    extent = QUICK if quick else Extent(seconds=seconds)
    started, clock, found = datetime.now(UTC), time.monotonic(), machine.describe()
    run = Run(repository.absolute(), _chosen(pipelines), extent, _say)
    run.all()
    return Scale(
        command=" ".join(["python -m lab.scale", *sys.argv[1:]]),
        started=started.isoformat(timespec="seconds"),
        minutes=(time.monotonic() - clock) / 60,
        seconds=extent.seconds,
        machine=found,
        load_average_after=os.getloadavg()[0],
        served=tuple(run.served),
        photo_bytes=run.photo_bytes,
        lightest=run.lightest,
        series=run.series,
        starts=tuple(run.starts),
        points=tuple(run.points),
    )


def _write(scale: Scale, page: Path, kept: Path) -> list[Path]:
    scale.write(kept)
    picture = plot.draw(scale, kept.with_suffix(".png"))
    costs = sizing.Costs.of(scale)
    text = [
        tables.curves(scale, f"{kept.parent.name}/{picture.name}"),
        sizing_tables.on_paper(scale, costs, _GPU),
    ]
    if not page.is_file():
        page.write_text(f"<!-- {SECTION}: begin -->\n<!-- {SECTION}: end -->\n", "utf-8")
    replace_section(page, SECTION, "\n".join(text))
    return [page, kept, picture]


def _chosen(asked: str) -> list[str]:
    known = [PIPELINE, *(name for name in available() if name != PIPELINE)]
    words = asked.replace(",", " ").split()
    if unknown := [word for word in words if word not in {*known, "all"}]:
        raise LabError(f"no pipeline {unknown[0]!r}; there are: {', '.join(known)}")
    return [name for name in known if "all" in words or name == PIPELINE or name in words]


def _say(step: str) -> None:
    screen.print(f"{datetime.now(UTC):%H:%M:%S} {step}", markup=False)


if __name__ == "__main__":
    typer.run(main)
