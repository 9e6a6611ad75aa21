"""`python -m lab.tune`: measures other settings of a pipeline on this machine, and proposes one."""

import signal
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from lab.errors import LabError
from lab.load import photos
from lab.load.http import upload
from lab.machine import CORES
from lab.options import MODEL_REPOSITORY, Repository
from lab.paths import CACHE
from lab.tune import proposal
from lab.tune.search import Plan, Search
from lab.tune.setting import CALLS, changes, nested
from pipelines.load import FOLDER, SpecError, load_spec
from pipelines.profile import DEFAULT_PROFILE
from pipelines.protocol import DEFAULT_PIPELINE

screen = Console(stderr=True, highlight=False, soft_wrap=True)
_QUICK = 90.0


def main(  # noqa: PLR0917 - the command line
    pipeline: Annotated[str, typer.Option(help="The pipeline to tune.")] = DEFAULT_PIPELINE,
    profile: Annotated[str, typer.Option(help="The profile to tune.")] = DEFAULT_PROFILE,
    seconds: Annotated[float, typer.Option(min=10, help="Total time, about.")] = 600.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="A minute or two: to see that it works.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write a proposal that gains into the YAML.")
    ] = False,
    repository: Repository = MODEL_REPOSITORY,
) -> None:
    """Tries processes, threads and batches of each model, and proposes what is faster here.

    Each candidate runs beside the best so far and both are asked in turn; at the end the winner
    is compared with the setting as it is, with 1, 8 and 32 callers. It wants the machine for
    itself: another load makes differences hard to see, though not wrong. Nothing is written
    without --write.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        spec = load_spec(pipeline, profile=profile)
        folder = photos.ensure(CACHE / "photos-640x480")
        path = f"/api/v1/pipelines/{pipeline}/predict"
        requests = [upload(path, [file.read_bytes()]) for file in sorted(folder.glob("*.jpg"))]
        plan = Plan(
            spec=spec,
            repository=repository.absolute(),
            requests=requests,
            seconds=min(seconds, _QUICK) if quick else seconds,
            cell=0.5 if quick else 1.5,
            rounds=1 if quick else 2,
            final_rounds=2 if quick else 6,
        )
        screen.print(
            f"{pipeline} ({profile}), {CORES} cores, about {plan.seconds / 60:.0f} minutes"
        )
        search = Search(plan, _say)
        levels = search.run()
    except (LabError, SpecError) as error:
        screen.print(f"[red]error:[/] {escape(str(error))}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        screen.print("stopped; nothing was written")
        raise typer.Exit(130) from None
    if search.left:
        screen.print(f"no time for: {'; '.join(search.left)}. --seconds {2 * plan.seconds:g}?")
    if not levels:
        screen.print(
            "no significant difference: nothing that was tried is faster. It stays as it is."
        )
        return
    screen.print(proposal.compared(levels))
    if not proposal.worth_it(levels):
        screen.print(
            "no significant difference, or a loss somewhere: not every pair gained. "
            "It stays as it is."
        )
        return
    changed = nested(changes(search.start, search.best), profile)
    if changed:
        screen.print(f"for pipelines/{pipeline}.yaml:")
        typer.echo(proposal.block(changed), nl=False)
    if search.best.calls != search.start.calls:
        screen.print("and for the gateway's environment:")
        typer.echo(f"{CALLS}={search.best.calls}")
    if write and changed:
        proposal.write(FOLDER / f"{pipeline}.yaml", changed)
        screen.print(f"wrote pipelines/{pipeline}.yaml. Now: make configs, and restart the service")


def _say(step: str) -> None:
    screen.print(f"{datetime.now(UTC):%H:%M:%S} {step}", markup=False)


if __name__ == "__main__":
    typer.run(main)
