"""`python -m lab.bench.agreement FIRST SECOND`: checks whether two runs of the benchmark agree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from pydantic import ValidationError
from rich.console import Console

from lab.bench import figures
from lab.bench.raw import Raw
from lab.bench.scenarios import figures as scenario_figures
from lab.bench.scenarios.figures import Figure, Row
from lab.bench.scenarios.raw import Raw as ScenariosRaw
from lab.markdown import table

screen = Console(stderr=True)


class Pair(NamedTuple):
    """One figure of a contender, in two runs."""

    workload: str
    contender: str
    what: str
    figures: tuple[float, float]
    spread: float
    """As the runs state it for this figure: the larger one."""
    form: str = "{:.1f}"

    @property
    def apart(self) -> float:
        """The figures' difference, as a share of their mean."""
        first, second = self.figures
        return abs(first - second) / ((first + second) / 2) if first or second else 0.0

    @property
    def agrees(self) -> bool:
        """Whether that is within the spread."""
        return self.apart <= self.spread


def pairs(first: Raw, second: Raw) -> Iterator[Pair]:
    """What two runs of closed loops both measured: images a second, of the limit's."""
    for workload in first.workloads:
        others = {row.name: row for row in figures.rows(second, workload)}
        for row in figures.rows(first, workload):
            other = others.get(row.name)
            for concurrency, load in row.loads.items():
                if other and concurrency in other.loads:
                    yield Pair(
                        workload,
                        f"{row.title}, {row.protocol}",
                        f"{concurrency} callers, of the limit",
                        (load.ratio, other.loads[concurrency].ratio),
                        max(row.ratio_spread, other.ratio_spread),
                        "{:.0%}",
                    )


def scenario_pairs(first: ScenariosRaw, second: ScenariosRaw) -> Iterator[Pair]:
    """What two runs of the scenarios both measured."""
    for workload in first.setup.workloads:
        others = {row.name: row for row in scenario_figures.rows(second, workload)}
        for row in scenario_figures.rows(first, workload):
            if row.name not in others:
                continue
            title, other = f"{row.title}, {row.protocol}", others[row.name]
            for what, one, another, form in (
                ("SingleStream p50, ms", row.single_p50_ms, other.single_p50_ms, "{:.1f}"),
                ("SingleStream p90, ms", row.single_p90_ms, other.single_p90_ms, "{:.1f}"),
                ("Server, 1/s", row.server, other.server, "{:.1f}"),
                ("Offline, of the limit", row.offline_ratio, other.offline_ratio, "{:.0%}"),
                ("Overload, goodput, 1/s", _goodput(row), _goodput(other), "{:.1f}"),
            ):
                if one and another:
                    spread = max(one.spread, another.spread)
                    figures_ = (one.median, another.median)
                    yield Pair(workload, title, what, figures_, spread, form)


def _goodput(row: Row) -> Figure | None:
    return row.overload.goodput if row.overload else None


def main(
    first: Annotated[
        Path, typer.Argument(help="Raw data of a run, as docs/performance/exact.json.")
    ],
    second: Annotated[Path, typer.Argument(help="Raw data of another one.")],
) -> None:
    """Compares the figures of two runs, and ends with 1 where some do not agree.

    Of closed loops the ratios to the limit, of the scenarios those of each. Two agree where they
    are no further apart than the larger spread that the runs state.
    """
    one, another = _read(first), _read(second)
    if isinstance(one, ScenariosRaw) and isinstance(another, ScenariosRaw):
        found = list(scenario_pairs(one, another))
    elif isinstance(one, Raw) and isinstance(another, Raw):
        found = list(pairs(one, another))
    else:
        raise typer.BadParameter("one run is of closed loops, the other one of the scenarios")
    lines = [
        (
            pair.workload,
            pair.contender,
            pair.what,
            " / ".join(pair.form.format(figure) for figure in pair.figures),
            f"{pair.apart:.0%}",
            f"{pair.spread:.0%}",
            "yes" if pair.agrees else "**no**",
        )
        for pair in found
    ]
    head = ("workload", "contender", "figure", "measured", "apart", "spread", "agree")
    print(table(head, lines))  # noqa: T201 - the table is the output
    agreeing = sum(pair.agrees for pair in found)
    screen.print(f"{agreeing} of {len(found)} agree", highlight=False)
    if agreeing < len(found) or not found:
        raise typer.Exit(1)


def _read(path: Path) -> Raw | ScenariosRaw:
    for kind in (Raw, ScenariosRaw):
        try:
            return kind.read(path)
        except OSError as error:
            raise typer.BadParameter(f"{path}: {error.strerror}") from None
        except ValidationError:
            continue
    raise typer.BadParameter(
        f"{path}: these are no raw data of this version's bench. Run `make bench` again"
    )


if __name__ == "__main__":
    typer.run(main)
