"""`python -m lab.releases.proof`: the life of a release on a running service; for its page."""

import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab import markdown
from lab.errors import LabError
from lab.machine import describe
from lab.options import Docs
from lab.releases.proof import gates, kills, life, memory, replicas, tables
from lab.releases.proof.canaries import make_releases
from lab.releases.proof.service import Running
from lab.releases.proof.world import World
from lab.service.scratch import Scratch

COMMAND = "make releases-proof"
_CANNOT = 2
_console = Console(stderr=True, highlight=False, soft_wrap=True)


class Part(StrEnum):
    """What is tried; each has its section of the page."""

    LIFE = "life"
    MEMORY = "memory"
    REPLICAS = "replicas"
    GATES = "gates"
    KILLS = "kills"


def main(
    part: Annotated[list[Part] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    subjects: Annotated[int, typer.Option(min=100, help="Of each share.")] = 10_000,
    docs: Docs = None,
) -> None:
    """Takes candidates through their life on a real service, and counts what goes wrong.

    Fails (1) where a request failed, a subject moved back, a row differs, memory stays taken, a
    candidate is not judged as it must be, or anything but the release that the history names
    answers after a SIGKILL.
    """
    passed = True
    try:
        with tempfile.TemporaryDirectory(prefix="proof-") as folder:
            world = World(Scratch(Path(folder) / "world"))
            _console.print("making the releases")
            make_releases(world)
            for each in part or list(Part):
                place = Path(folder) / each
                place.mkdir()
                with Running(world, place, tritons=2 if each is Part.REPLICAS else 1) as service:
                    text, good = _run(each, service, place, subjects)
                passed &= good
                typer.echo(text)
                if docs is not None:
                    # At once: what was found stays, whatever becomes of the next part.
                    markdown.replace_section(docs, each, f"{_machine()}\n\n{text}")
    except (LabError, OSError) as error:
        _console.print(f"error: {error}", markup=False)
        raise typer.Exit(_CANNOT) from None
    raise typer.Exit(0 if passed else 1)


def _machine() -> str:
    machine = describe()
    return (
        f"Written by `{COMMAND}` on {machine.cores} cores of {machine.cpu}; load average at its "
        f"end: {machine.load_average:.0f}."
    )


def _run(part: Part, service: Running, place: Path, subjects: int) -> tuple[str, bool]:
    def step(text: str) -> None:
        _console.print(f"{part}: {text}", markup=False)

    if part is Part.LIFE:
        found = life.run(service, subjects, step)
        return tables.of_life(found), found.passed
    if part is Part.REPLICAS:
        of_two = replicas.run(service, subjects, step)
        return tables.of_replicas(of_two), of_two.passed
    if part is Part.MEMORY:
        repeated = memory.run(service, subjects, step)
        return tables.of_memory(repeated), repeated.passed
    if part is Part.GATES:
        judged = gates.run(service, place, step)
        return tables.of_gates(judged), all(each.passed for each in judged)
    killed = kills.run(service, step)
    return tables.of_kills(killed), all(each.passed for each in killed)


if __name__ == "__main__":
    typer.run(main)
