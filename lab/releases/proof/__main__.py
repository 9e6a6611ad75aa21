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
from lab.releases.proof import gates, kills, life
from lab.releases.proof.canaries import make_releases
from lab.releases.proof.gates import Judged
from lab.releases.proof.kills import Killed
from lab.releases.proof.life import Life
from lab.releases.proof.service import Running
from lab.releases.proof.world import World
from lab.service.scratch import Scratch

COMMAND = "make releases-proof"
_CANNOT = 2
_console = Console(stderr=True, highlight=False, soft_wrap=True)


class Part(StrEnum):
    """What is tried; each has its section of the page."""

    LIFE = "life"
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
                with Running(world, place) as service:
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
        return _life(found), found.passed
    if part is Part.GATES:
        judged = gates.run(service, place, step)
        return _gates(judged), all(each.passed for each in judged)
    killed = kills.run(service, step)
    return _kills(killed), all(each.passed for each in killed)


def _life(found: Life) -> str:
    failed = str(len(found.failures))
    if found.failures:
        failed += f" (the first: {found.failures[0]})"
    before, after = sum(found.memory_before.values()), sum(found.memory_after.values())
    parts = ", ".join(
        f"{name} {found.memory_before[name]:.0f} and {mebibytes:.0f}"
        for name, mebibytes in sorted(found.memory_after.items())
    )
    memory = f"{before:.0f} and {after:.0f} MiB ({after / before - 1:+.1%}): {parts}"
    rows = [
        ["requests over HTTP and gRPC of two gateways", str(found.requests), ""],
        ["requests that failed", failed, "0"],
        *(
            [
                f"answered by the candidate at {each.percent} %, of {each.subjects} subjects",
                f"{each.answered / each.subjects:.2%}",
                f"{each.low:.2%} to {each.high:.2%} holds {each.percent} %",
            ]
            for each in found.shares
        ),
        ["subjects that moved back from 10 to 20 %, asked at another door", str(found.moved_back),
         "0"],
        ["answers of a release that the step does not have", str(found.wrong_releases), "0"],
        ["answers whose row is missing or names another release", str(found.rows_wrong), "0"],
        ["rollback: from the command's start to the last answer of the candidate",
         f"{found.rollback_seconds:.1f} s", "10 s"],
        ["memory (PSS) before and after", memory, "+5 % at most"],
    ]  # fmt: skip
    return markdown.table(["what", "found", "must be"], rows)


def _gates(found: list[Judged]) -> str:
    rows = [
        [each.candidate.what, f"**{each.result}**", each.said, each.promotion] for each in found
    ]
    head = ["candidate", "result", "what `stage` or `gate` printed", "what `promote` printed"]
    return markdown.table(head, [[cell.replace("|", "\\|") for cell in row] for row in rows])


def _kills(found: list[Killed]) -> str:
    rows = [
        [
            each.step,
            each.victim,
            f"{each.after:.1f} s",
            "yes" if each.stands else "no",
            each.current,
            each.answered,
            f"{each.seconds:.0f} s",
            f"{each.failures['first']} and {each.failures['second']}",
        ]
        for each in found
    ]
    head = [
        "step",
        "killed",
        "after",
        "change stands",
        "current, by the history",
        "answered",
        "until both gateways did, as they were asked one by one",
        "failed requests at the first and second gateway",
    ]
    return markdown.table(head, rows)


if __name__ == "__main__":
    typer.run(main)
