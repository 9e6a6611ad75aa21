"""`python -m lab.bench`: measures all servers and writes the report."""

import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from lab import machine
from lab.bench import raw, report
from lab.bench.arguments import size, words
from lab.bench.other_servers import all_contenders
from lab.bench.run import Options, Run
from lab.bench.workload import WORKLOADS
from lab.errors import ContenderError, LabError
from lab.options import MODEL_REPOSITORY, Repository
from lab.paths import CACHE, ROOT
from pipelines.enums import Decoding

screen = Console(stderr=True)
_QUIET = 0.5
CLOSED = tuple(name for name, workload in WORKLOADS.items() if workload.closed_loops)
"""The workloads of closed loops."""
_SIZES = {Decoding.EXACT: "640x480", Decoding.FAST: "4000x3000"}
_QUICK_SECONDS = 1.0
_QUICK_CONCURRENCY = "8"
_BATCHES, _QUICK_BATCHES = (1, 2, 4, 8, 16), (1, 4)


def main(
    *,
    rounds: Annotated[
        int, typer.Option(min=1, help="Number of rounds, each with all contenders.")
    ] = 3,
    seconds: Annotated[
        float, typer.Option(min=0.2, help="Seconds for each cell; more for slow workloads.")
    ] = 2.0,
    concurrency: Annotated[str, typer.Option(help="Callers at a time.")] = "1,8,32",
    contenders: Annotated[
        str, typer.Option(help=f"Some of: {', '.join(all_contenders())}; or 'all'.")
    ] = "all",
    workloads: Annotated[
        str, typer.Option(help=f"Some of: {', '.join(CLOSED)}; or 'all' that can be decoded so.")
    ] = "all",
    decoding: Annotated[Decoding, typer.Option(help="The standard for everyone.")] = Decoding.EXACT,
    photo_size: Annotated[
        str | None,
        typer.Option(
            help="Of the photos. With `fast`, what is not large is decoded whole. "
            f"[{', '.join(f'{size} for {decoding}' for decoding, size in _SIZES.items())}]"
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One short round, to see that everything works.")
    ] = False,
    repository: Repository = MODEL_REPOSITORY,
    output: Annotated[
        Path | None,
        typer.Option(
            help="The report; its raw data go to a folder beside it. [docs/performance.md]"
        ),
    ] = None,
) -> None:
    """Measures the raw limit, Triton, the gateway and other model servers on the same photos.

    A full run takes about three quarters of an hour on two cores and wants the machine for itself.
    With --quick the report goes to .cache/bench/quick.md unless --output says otherwise.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if quick:
        rounds, seconds, concurrency = 1, _QUICK_SECONDS, _QUICK_CONCURRENCY
    output = output or (CACHE / "quick.md" if quick else ROOT / "docs" / "performance.md")
    every = all_contenders()
    try:
        options = Options(
            contenders=[every[name] for name in words(contenders, list(every))],
            workloads=tuple(words(workloads, _decoded(decoding))),
            concurrency=_numbers(concurrency),
            rounds=rounds,
            seconds=seconds,
            batches=_QUICK_BATCHES if quick else _BATCHES,
            decoding=decoding,
            photo_size=size(photo_size or _SIZES[decoding]),
            repository=repository.absolute(),
            compare_first=not quick,
        )
        started, clock, found = datetime.now(UTC), time.monotonic(), machine.describe()
        if found.load_average > _QUIET:
            _say(f"load average {found.load_average:.1f}: other work will be in all figures")
        run = Run(options, _say)
        run.all()
    except (LabError, ContenderError) as error:
        screen.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        screen.print("stopped; nothing was written")
        raise typer.Exit(130) from None
    measured = raw.Raw(
        command=" ".join(["python -m lab.bench", *sys.argv[1:]]),
        started=started.isoformat(timespec="seconds"),
        minutes=(time.monotonic() - clock) / 60,
        decoding=decoding.value,
        photo_size=options.photo_size,
        rounds=rounds,
        seconds=seconds,
        concurrency=options.concurrency,
        workloads=options.workloads,
        machine=found,
        contenders=tuple(run.described),
        limits=tuple(run.limits),
        sessions=tuple(run.sessions),
        cells=tuple(run.cells),
    )
    failed = sorted({session.contender for session in run.sessions if session.failed})
    if failed:
        screen.print(f"[red]failed:[/] {', '.join(failed)}; the report says why")
    for path in report.write(measured, output):
        screen.print(f"wrote {path}", soft_wrap=True, highlight=False)


def _say(step: str) -> None:
    screen.print(
        f"{datetime.now(UTC):%H:%M:%S} {step}", markup=False, soft_wrap=True, highlight=False
    )


def _decoded(decoding: Decoding) -> list[str]:
    """Names of the workloads that some profile serves with this decoding."""
    return [name for name in CLOSED if decoding in WORKLOADS[name].profiles]


def _numbers(asked: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(word) for word in asked.replace(",", " ").split())
    except ValueError:
        raise LabError(f"--concurrency: {asked!r} is not numbers with commas, as 1,8,32") from None
    if not numbers or min(numbers) < 1:
        raise LabError("--concurrency: at least one number from 1 on, as 1,8,32")
    return numbers


if __name__ == "__main__":
    typer.run(main)
