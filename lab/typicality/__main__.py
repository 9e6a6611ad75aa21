"""`python -m lab.typicality`: measures what typicality flags, and writes docs/typicality.md."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from evaluation.metrics.intervals import share
from export.progress import OnProgress, Steps, shown_on
from lab.errors import LabError
from lab.markdown import replace_section, table
from lab.options import MODEL_REPOSITORY, Repository
from lab.paths import ROOT
from lab.typicality import images
from lab.typicality.judging import Judge
from lab.typicality.kept import Kept
from pipelines.load import FOLDER, available, load_definition
from pipelines.profile import DEFAULT_PROFILE
from pipelines.release import ReleaseError

INT8 = "int8"
screen = Console(stderr=True)


@dataclass(frozen=True)
class Flagged:
    """How many images of a group were called atypical."""

    count: int
    of: int

    @property
    def share(self) -> str:
        """In per cent."""
        return f"{self.count / self.of:.1%}"

    @property
    def with_interval(self) -> str:
        """The share, and the 95 % interval of its rate."""
        found = share(self.count, self.of)
        return (
            self.share if found is None else f"{self.share} ({found.low:.1%} to {found.high:.1%})"
        )


def main(
    pictures: Annotated[Path, typer.Option(help="Folder of real photographs.")] = ROOT
    / images.PICTURES,
    page: Annotated[Path, typer.Option(help="The page to write into.")] = ROOT
    / "docs"
    / "typicality.md",
    repository: Repository = MODEL_REPOSITORY,
    keep: Annotated[Path, typer.Option(help="Where drawings and measurements are kept.")] = ROOT
    / ".cache"
    / "typicality",
    resume: Annotated[
        bool, typer.Option("--resume", help="Goes on where an interrupted run ended.")
    ] = False,
) -> None:
    """Judges drawings, noise, pages and photographs by each pipeline's release.

    Takes one to three minutes of CPU time for each pipeline. `--resume` takes what an interrupted
    run has drawn and measured; leave it out after a change of drawings or decoding.
    """
    try:
        judges = _judges(repository)
        with shown_on(screen) as on_progress:
            text = measured(judges, pictures, Kept.begin(keep, resume=resume), on_progress)
        replace_section(page, "typicality", text)
    except (LabError, ReleaseError) as error:
        screen.print(f"lab: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    screen.print(Markdown(text))


def _judges(repository: Path) -> dict[str, Judge]:
    """By the column's title: each pipeline, and its INT8 form where a profile has one."""
    found = {}
    for name in available(FOLDER):
        found[name] = Judge.of(name, DEFAULT_PROFILE, repository)
        if INT8 in load_definition(name).profiles:
            found[f"{name}, INT8"] = Judge.of(name, INT8, repository)
    return found


def measured(judges: dict[str, Judge], pictures: Path, kept: Kept, on_progress: OnProgress) -> str:
    """The tables: a row for each group of images, a column for each judge.

    Raises:
        LabError: there are no pictures.
    """
    photographs = images.photographs(pictures)
    own = {
        judge.spec.name: kept.drawing(f"{judge.spec.name}/own", images.own(judge.spec))
        for judge in judges.values()
    }
    near = {name: images.near(draw) for name, draw in own.items()}
    changes = list(next(iter(near.values())))
    per_judge = images.OWN + images.FAR * (len(own) - 1 + len(images.far())) + len(photographs)
    steps = Steps(len(judges) * (per_judge + images.NEAR * len(changes)), on_progress)
    others: dict[str, list[str]] = {}
    changed: dict[str, list[str]] = {}
    for title, judge in judges.items():
        steps.begin(f"judging by {title}")

        def flagged(group: str, found: Iterable[bytes], of: int, judge: Judge = judge) -> Flagged:
            numbers = kept.measured(judge.network, group)
            if numbers is None:
                numbers = judge.measure(found, steps.advance)
                kept.keep(judge.network, group, numbers)
            else:
                steps.advance(of)
            return Flagged(judge.flagged(numbers), of)

        def drawn(group: str, draw: images.Draw, of: int) -> Flagged:
            return flagged(group, images.drawn(draw, of), of)

        name = judge.spec.name
        cell = drawn("own", own[name], images.OWN).with_interval
        others.setdefault(f"{images.OWN} other drawings of its own kind", []).append(cell)
        for other, draw in own.items():
            cell = "" if other == name else drawn(other, draw, images.FAR).share
            others.setdefault(f"{images.FAR} drawings of `{other}`", []).append(cell)
        for group, draw in images.far().items():
            cell = drawn(group, kept.drawing(f"any/{group}", draw), images.FAR).share
            others.setdefault(f"{images.FAR} of {group}", []).append(cell)
        cell = flagged("photographs", photographs, len(photographs)).share
        others.setdefault(f"{len(photographs)} photographs", []).append(cell)
        for change, draw in near[name].items():
            cell = drawn(change, kept.drawing(f"{name}/{change}", draw), images.NEAR).share
            changed.setdefault(change, []).append(cell)
    titles = [f"`{title}`" if title in own else title for title in judges]
    return (
        table(["images", *titles], [[group, *cells] for group, cells in others.items()])
        + f"\nOf {images.NEAR} of its own drawings, changed:\n\n"
        + table(["change", *titles], [[change, *cells] for change, cells in changed.items()])
    )


if __name__ == "__main__":
    typer.run(main)
