"""`python -m lab.bench.agreement FIRST SECOND`: checks whether two runs of the benchmark agree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from pydantic import ValidationError
from rich.console import Console

from lab.bench import figures
from lab.bench.raw import Raw
from lab.markdown import table

screen = Console(stderr=True)


class Pair(NamedTuple):
    """A contender under one load, in two runs."""

    workload: str
    contender: str
    concurrency: int
    ratios: tuple[float, float]
    """Of the limit."""
    spread: float
    """Of the ratio, as the runs state it for this contender: the larger one."""

    @property
    def apart(self) -> float:
        """The ratios' difference, as a share of their mean."""
        first, second = self.ratios
        return abs(first - second) / ((first + second) / 2)

    @property
    def agrees(self) -> bool:
        """Whether that is within the spread."""
        return self.apart <= self.spread


def pairs(first: Raw, second: Raw) -> Iterator[Pair]:
    """What both runs measured."""
    for workload in first.workloads:
        others = {row.name: row for row in figures.rows(second, workload)}
        for row in figures.rows(first, workload):
            other = others.get(row.name)
            for concurrency, load in row.loads.items():
                if other and concurrency in other.loads:
                    yield Pair(
                        workload,
                        f"{row.title}, {row.protocol}",
                        concurrency,
                        (load.ratio, other.loads[concurrency].ratio),
                        max(row.ratio_spread, other.ratio_spread),
                    )


def main(
    first: Annotated[
        Path, typer.Argument(help="Raw data of a run, as docs/performance/exact.json.")
    ],
    second: Annotated[Path, typer.Argument(help="Raw data of another one.")],
) -> None:
    """Compares the ratios to the limit of two runs, and ends with 1 where some do not agree.

    Two agree where they are no further apart than the larger spread that the runs state for this
    contender and workload.
    """
    found = list(pairs(_read(first), _read(second)))
    lines = [
        (
            pair.workload,
            pair.contender,
            str(pair.concurrency),
            " / ".join(f"{100 * ratio:.0f} %" for ratio in pair.ratios),
            f"{pair.apart:.0%}",
            f"{pair.spread:.0%}",
            "yes" if pair.agrees else "**no**",
        )
        for pair in found
    ]
    head = ("workload", "contender", "callers", "of the limit", "apart", "spread", "agree")
    print(table(head, lines))  # noqa: T201 - the table is the output
    agreeing = sum(pair.agrees for pair in found)
    screen.print(f"{agreeing} of {len(found)} agree", highlight=False)
    if agreeing < len(found) or not found:
        raise typer.Exit(1)


def _read(path: Path) -> Raw:
    try:
        return Raw.read(path)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None
    except ValidationError:
        raise typer.BadParameter(
            f"{path}: these are no raw data of this version's bench. Run `make bench` again"
        ) from None


if __name__ == "__main__":
    typer.run(main)
