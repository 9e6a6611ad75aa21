"""`python -m lab.attack`: attacks a service of its own and writes how it held."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from lab.attack.calls import ATTACKS
from lab.attack.trial import Bystander, Figures, Trial
from lab.errors import LabError
from lab.machine import describe
from lab.markdown import replace_section, table
from lab.options import MODEL_REPOSITORY, Docs, Repository
from lab.paths import CACHE
from lab.service.service import Service
from loadtest.photos import SAMPLES
from pipelines.protocol import DEFAULT_PIPELINE

SECTION = "attack"
_CANNOT = 2
_HEAD = (
    "attack",
    "its answers",
    "longest wait for a small photo",
    "refused or failed",
    "longest wait for /healthz",
    "highest memory",
    "memory kept",
    "recovered after",
    "restarts",
)
_console = Console(stderr=True, highlight=False, soft_wrap=True)


def main(
    seconds: Annotated[float, typer.Option(min=1, help="How long each attack lasts.")] = 10,
    only: Annotated[str, typer.Option(help="Only attacks whose name has these words.")] = "",
    repository: Repository = MODEL_REPOSITORY,
    docs: Docs = None,
) -> None:
    """Runs each attack on a service that is started for it, on this machine alone.

    Meanwhile one bystander sends a small photo again and again, another asks /healthz. Fails (1)
    where a process of the service had to be replaced, or it did not recover within a minute.
    """
    names = [name for name in ATTACKS if only in name]
    if not names:
        _console.print(f"error: no attack has {only!r} in its name", markup=False)
        raise typer.Exit(_CANNOT)
    log = CACHE / "logs" / "attack.log"
    try:
        _console.print(f"starting a service of {DEFAULT_PIPELINE}; its log: {log}")
        with Service([DEFAULT_PIPELINE], repository.absolute(), log=log) as service:
            usual, figures = asyncio.run(_attacked(service, names, seconds))
    except (LabError, OSError) as error:
        _console.print(f"error: {error}", markup=False)
        raise typer.Exit(_CANNOT) from None
    text = _report(usual, figures, seconds)
    _console.print(text, markup=False)
    if docs:
        replace_section(docs, SECTION, text)
    held = all(each.recovery is not None and not each.restarts for each in figures)
    raise typer.Exit(0 if held else 1)


async def _attacked(
    service: Service, names: list[str], seconds: float
) -> tuple[Bystander, list[Figures]]:
    trial = Trial(service, (SAMPLES / "cancer.jpg").read_bytes())
    await trial.rest(2)
    usual = await trial.rest(seconds)
    figures = []
    for number, name in enumerate(names, 1):
        _console.print(f"{number} of {len(names)}: {name}")
        figures.append(await trial.run(name, seconds))
    return usual, figures


def _report(usual: Bystander, figures: list[Figures], seconds: float) -> str:
    machine = describe()
    return (
        f"{machine.cores} cores of {machine.cpu}. {seconds:.0f} s each; alone a small photo waits "
        f"{usual.largest:.2f} s at most.\n\n" + table(_HEAD, map(_row, figures))
    )


def _row(figures: Figures) -> list[str]:
    others = figures.photo.statuses.total() - figures.photo.statuses["200"]
    unanswered = others - figures.photo.statuses["left"]
    recovery = figures.recovery
    return [
        figures.name,
        ", ".join(f"{count} x {status}" for status, count in sorted(figures.answers.items())),
        f"{figures.photo.largest:.2f} s",
        f"{unanswered} of {figures.photo.statuses.total()}",
        f"{figures.health.largest:.2f} s",
        f"{figures.memory_mib:.0f} MiB",
        f"{figures.left_mib:+.0f} MiB",
        "no" if recovery is None else f"{recovery:.1f} s",
        f"{figures.restarts:.0f}",
    ]


if __name__ == "__main__":
    typer.run(main)
