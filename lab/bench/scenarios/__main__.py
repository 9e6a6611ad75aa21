"""`python -m lab.bench.scenarios`: measures all servers by MLPerf's scenarios, into the report."""

import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from lab import machine
from lab.bench import report
from lab.bench.arguments import size, words
from lab.bench.other_servers import all_contenders
from lab.bench.scenarios.raw import Raw, Scenario, Setup
from lab.bench.scenarios.run import Run
from lab.bench.workload import WORKLOADS
from lab.errors import ContenderError, LabError
from lab.options import MODEL_REPOSITORY, Repository
from lab.paths import CACHE, ROOT

screen = Console(stderr=True)
_QUIET = 0.5
_KEPT = CACHE / "scenarios.partial.json"
_NEEDED = {
    Scenario.SERVER: (Scenario.SINGLE_STREAM,),
    Scenario.CURVE: (Scenario.SINGLE_STREAM, Scenario.SERVER),
    Scenario.OVERLOAD: (Scenario.SINGLE_STREAM, Scenario.SERVER),
}
"""From which the bound and the rates of a scenario follow."""
_QUICK_REQUESTS, _QUICK_PHOTOS, _QUICK_SECONDS = 50, 50, 0.5


def main(
    *,
    scenario: Annotated[
        str, typer.Option(help=f"Some of: {', '.join(Scenario)}; or 'all'.")
    ] = "all",
    contenders: Annotated[
        str, typer.Option(help=f"Some of: {', '.join(all_contenders())}; or 'all'.")
    ] = "all",
    workloads: Annotated[
        str, typer.Option(help=f"Some of: {', '.join(WORKLOADS)}; or 'all'.")
    ] = "all",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, each with all contenders.")] = 3,
    requests: Annotated[
        int | None,
        typer.Option(min=20, help="Requests of a point. [500; fewer of slow workloads]"),
    ] = None,
    photos: Annotated[int, typer.Option(min=1, help="Photos at hand, of Offline.")] = 500,
    bound: Annotated[
        float | None,
        typer.Option(min=1, help="Bound in ms. [5 times the best contender's unloaded median]"),
    ] = None,
    rates: Annotated[
        str,
        typer.Option(help="Arrivals a second of the curve, as 40,80. [by the best peer's Server]"),
    ] = "",
    photo_size: Annotated[str, typer.Option(help="Of the photos.")] = "640x480",
    quick: Annotated[
        bool, typer.Option("--quick", help="One round of few requests, to see that it works.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Goes on where a run with the same options was stopped."),
    ] = False,
    repository: Repository = MODEL_REPOSITORY,
    output: Annotated[
        Path | None,
        typer.Option(
            help="The report; its raw data go to a folder beside it. [docs/performance.md]"
        ),
    ] = None,
) -> None:
    """Measures one caller, open load, photos at hand and overload, on the same photos.

    A whole run takes hours and wants the machine for itself. What it has is kept in .cache/bench/
    after each contender: Ctrl-C loses little, and --resume goes on. With --quick the report goes
    to .cache/bench/quick.md unless --output says otherwise.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    every = all_contenders()
    output = output or (CACHE / "quick.md" if quick else ROOT / "docs" / "performance.md")
    clock = time.monotonic()
    try:
        names = words(workloads, list(WORKLOADS))
        if quick:
            rounds, requests = 1, requests or _QUICK_REQUESTS
            photos = min(photos, _QUICK_PHOTOS)
        setup = Setup(
            rounds=rounds,
            photo_size=size(photo_size),
            workloads=tuple(names),
            contenders=tuple(words(contenders, list(every))),
            scenarios=with_needed(words(scenario, list(Scenario)), bound=bound, rates=rates),
            requests={name: requests or WORKLOADS[name].requests for name in names},
            photos=photos,
            single_seconds=_QUICK_SECONDS if quick else 2.0,
            limit_seconds=_QUICK_SECONDS if quick else 2.0,
            bound_ms=bound,
            rates=_rates(rates),
        )
        raw = _begun(setup, resume=resume, peers=[n for n in every if every[n].peer])
        if raw.machine.load_average > _QUIET:
            _say(f"load average {raw.machine.load_average:.1f}: other work will be in all figures")
        run = Run(
            [every[name] for name in setup.contenders],
            repository.absolute(),
            raw,
            on_step=_say,
            on_progress=lambda now: _with_minutes(now, raw.minutes, clock).write(_KEPT),
        )
        run.all()
    except (LabError, ContenderError) as error:
        screen.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        screen.print("stopped; --resume goes on")
        raise typer.Exit(130) from None
    measured = _with_minutes(run.raw, raw.minutes, clock)
    measured.write(_KEPT)
    failed = sorted({session.contender for session in measured.sessions if session.failed})
    if failed:
        screen.print(f"[red]failed:[/] {', '.join(failed)}; the report says why")
    for path in report.write_scenarios(measured, output):
        screen.print(f"wrote {path}", soft_wrap=True, highlight=False)


def with_needed(asked: Sequence[str], *, bound: float | None, rates: str) -> tuple[Scenario, ...]:
    """The scenarios that are asked for, and those from which their bound and rates follow.

    Args:
        asked: names.
        bound: given in place of one that follows from SingleStream.
        rates: given in place of those that follow from Server; not for Overload.
    """
    chosen = {Scenario(name) for name in asked}
    for scenario in list(chosen):
        for needed in _NEEDED.get(scenario, ()):
            if needed is Scenario.SINGLE_STREAM and bound is not None:
                continue
            if needed is Scenario.SERVER and scenario is Scenario.CURVE and rates:
                continue
            chosen.add(needed)
    return tuple(scenario for scenario in Scenario if scenario in chosen)


def _begun(setup: Setup, *, resume: bool, peers: Sequence[str]) -> Raw:
    """A new run, or the one that was stopped.

    Raises:
        LabError: there is none, or it was of other options.
    """
    if not resume:
        return Raw(
            command=" ".join(["python -m lab.bench.scenarios", *sys.argv[1:]]),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            minutes=0.0,
            setup=setup,
            machine=machine.describe(),
            contenders=(),
            peers=tuple(peers),
        )
    try:
        kept = Raw.read(_KEPT)
    except OSError:
        raise LabError(f"--resume: there is no {_KEPT}: leave it out") from None
    except ValidationError:
        raise LabError(f"--resume: {_KEPT} is of another version: leave it out") from None
    if kept.setup != setup:
        raise LabError(
            "--resume: what is kept was measured with other options: give the same ones, or "
            "leave --resume out"
        )
    return kept


def _with_minutes(raw: Raw, before: float, clock: float) -> Raw:
    return raw.model_copy(update={"minutes": before + (time.monotonic() - clock) / 60})


def _rates(asked: str) -> tuple[float, ...]:
    try:
        rates = tuple(float(word) for word in asked.replace(",", " ").split())
    except ValueError:
        raise LabError(f"--rates: {asked!r} is not numbers with commas, as 40,80") from None
    if any(rate <= 0 for rate in rates):
        raise LabError("--rates: numbers above 0, as 40,80")
    return tuple(sorted(set(rates)))


def _say(step: str) -> None:
    screen.print(
        f"{datetime.now(UTC):%H:%M:%S} {step}", markup=False, soft_wrap=True, highlight=False
    )


if __name__ == "__main__":
    typer.run(main)
