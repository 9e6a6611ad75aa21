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
from lab.paths import ROOT
from lab.typicality import images
from lab.typicality.judging import Judge
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
    repository: Annotated[Path, typer.Option(help="The model repository.")] = ROOT
    / "model_repository",
) -> None:
    """Judges drawings, noise, pages and photographs by each pipeline's release.

    Takes a minute or more for each pipeline.
    """
    try:
        judges = _judges(repository)
        with shown_on(screen) as on_progress:
            text = measured(judges, pictures, on_progress)
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


def measured(judges: dict[str, Judge], pictures: Path, on_progress: OnProgress) -> str:
    """The tables: a row for each group of images, a column for each judge.

    Raises:
        LabError: there are no pictures.
    """
    photographs = images.photographs(pictures)
    kinds = {judge.spec.name: judge.spec for judge in judges.values()}
    changes = list(images.near(next(iter(kinds.values()))))
    per_judge = images.OWN + images.FAR * (len(kinds) - 1 + len(images.far())) + len(photographs)
    steps = Steps(len(judges) * (per_judge + images.NEAR * len(changes)), on_progress)
    others: dict[str, list[str]] = {}
    near: dict[str, list[str]] = {}
    for title, judge in judges.items():
        steps.begin(f"judging by {title}")

        def flagged(found: Iterable[bytes], judge: Judge = judge) -> Flagged:
            typicality = judge.typicality(found, steps.advance)
            return Flagged(judge.flagged(typicality), len(typicality))

        own = images.drawn(images.own(judge.spec), images.OWN)
        others.setdefault(f"{images.OWN} other drawings of its own kind", []).append(
            flagged(own).with_interval
        )
        for name, spec in kinds.items():
            drawn = images.drawn(images.own(spec), images.FAR)
            cell = "" if name == judge.spec.name else flagged(drawn).share
            others.setdefault(f"{images.FAR} drawings of `{name}`", []).append(cell)
        for group, draw in images.far().items():
            cell = flagged(images.drawn(draw, images.FAR)).share
            others.setdefault(f"{images.FAR} of {group}", []).append(cell)
        others.setdefault(f"{len(photographs)} photographs", []).append(flagged(photographs).share)
        for change, draw in images.near(judge.spec).items():
            near.setdefault(change, []).append(flagged(images.drawn(draw, images.NEAR)).share)
    titles = [f"`{title}`" if title in kinds else title for title in judges]
    return (
        table(["images", *titles], [[group, *cells] for group, cells in others.items()])
        + f"\nOf {images.NEAR} of its own drawings, changed:\n\n"
        + table(["change", *titles], [[change, *cells] for change, cells in near.items()])
    )


if __name__ == "__main__":
    typer.run(main)
