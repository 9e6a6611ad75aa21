"""`python -m lab.autoscaling`: runs the simulation and writes docs/autoscaling.md."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from lab.autoscaling import chart, criteria, page
from lab.autoscaling.plan import Plan
from lab.autoscaling.record import Record
from lab.autoscaling.run import simulate
from lab.errors import LabError
from lab.markdown import replace_section
from lab.paths import ROOT
from loadtest.errors import LoadtestError
from pipelines.load import SpecError

SECTION = "measured"
_PAGE = ROOT / "docs" / "autoscaling.md"
_STOPPED = 130


def main(
    redraw: Annotated[
        bool, typer.Option("--redraw", help="Only write page and chart anew, from the kept data.")
    ] = False,
    output: Annotated[
        Path, typer.Option(help="The page; chart and raw data go to a folder beside.")
    ] = _PAGE,
) -> None:
    """Simulates autoscaling by the shipped rules, with real processes on this machine.

    Takes about five minutes. The exit status is 1 where the run does not show what it must.
    """
    kept = output.with_suffix("") / "simulation.json"
    try:
        if redraw and not kept.is_file():
            raise LabError(f"{kept} is not there: leave --redraw out")  # noqa: TRY301
        record = Record.read(kept) if redraw else asyncio.run(_run())
        record.write(kept)
        picture = chart.draw(record, kept.with_suffix(".png"))
        text = page.text(record, picture.relative_to(output.parent).as_posix())
        replace_section(output, SECTION, text)
    except (LabError, LoadtestError, SpecError) as error:
        _say(f"error: {error}")
        raise typer.Exit(1) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say("stopped; nothing was written")
        raise typer.Exit(_STOPPED) from None
    found = criteria.problems(record)
    for problem in found:
        _say(f"NOT SHOWN  {problem}")
    _say(f"wrote {output}, {kept} and the chart beside it")
    if found:
        raise typer.Exit(1)


async def _run() -> Record:
    # As Ctrl-C: what was started is stopped.
    this = asyncio.current_task()
    if this is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    return await simulate(Plan(), _say)


def _say(text: str) -> None:
    sys.stderr.write(f"simulation: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    typer.run(main)
