"""`python -m lab.overload`: sends three times a service's capacity, and checks the outcome."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab.errors import LabError
from lab.overload.run import overload
from lab.paths import ROOT
from lab.service.service import Service
from loadtest.budgets import BUDGETS, read_budgets
from loadtest.errors import LoadtestError
from loadtest.photos import SAMPLES
from loadtest.target import Target, refuse_remote
from pipelines.protocol import DEFAULT_PIPELINE

_console = Console(stderr=True, highlight=False, soft_wrap=True)
_CANNOT = 2


def main(  # noqa: PLR0917 - typer's options
    url: Annotated[
        str,
        typer.Option(envvar="LOADTEST_URL", help="A running gateway; left out: one is started."),
    ] = "",
    pipeline: Annotated[
        str, typer.Option(envvar="LOADTEST_PIPELINE", help="The pipeline.")
    ] = DEFAULT_PIPELINE,
    repository: Annotated[
        Path, typer.Option(help="Model repository of the service that is started.", file_okay=False)
    ] = ROOT / "model_repository",
    photos: Annotated[
        Path, typer.Option(envvar="LOADTEST_PHOTOS", help="Folder of images to send.")
    ] = SAMPLES,
    budgets: Annotated[
        Path, typer.Option(envvar="LOADTEST_BUDGETS", help="The budgets' YAML.")
    ] = BUDGETS,
    out: Annotated[
        Path, typer.Option(envvar="LOADTEST_OUT", help="Folder for the results.")
    ] = Path("loadtest-results"),
    api_key: Annotated[
        str, typer.Option(envvar="LOADTEST_API_KEY", help="The API key, if the gateway needs one.")
    ] = "",
    seconds: Annotated[
        float, typer.Option(envvar="OVERLOAD_SECONDS", min=5, help="How long the overload lasts.")
    ] = 120,
    step_seconds: Annotated[
        float,
        typer.Option(envvar="OVERLOAD_STEP_SECONDS", min=2, help="Seconds of each earlier step."),
    ] = 20,
    docs: Annotated[
        Path | None,
        typer.Option(envvar="OVERLOAD_DOCS", help="Also write the table into this document."),
    ] = None,
) -> None:
    """Finds the capacity, sends three times as much, and fails (1) where a budget is broken.

    Writes overload.json, overload.png and the service's log. Only for a service of this machine.
    GATEWAY_* in the environment reach the service that is started.
    """
    try:
        if url:
            refuse_remote(url)
        budget = read_budgets(budgets).overload
        out.mkdir(parents=True, exist_ok=True)
        started = None if url else Service([pipeline], repository, log=out / "service.log")
        if started:
            _console.print(f"overload: starting a service of {pipeline}")
        address = started.url if started else url.rstrip("/")
        with started or nullcontext():
            held = overload(
                Target(address, "", pipeline, api_key or None),
                started,
                photos=photos,
                budget=budget,
                seconds=seconds,
                step_seconds=step_seconds,
                out=out,
                docs=docs,
                console=_console,
            )
    except (LabError, LoadtestError, OSError) as error:
        for line in str(error).splitlines():
            _console.print(f"error: {line}", markup=False)
        raise typer.Exit(_CANNOT) from None
    raise typer.Exit(0 if held else 1)


if __name__ == "__main__":
    typer.run(main)
