"""Runs an overload against a service, and writes its summary."""

import asyncio
import os
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab.load.http_connections import HttpConnections
from lab.markdown import replace_section
from lab.overload import report
from lab.overload.calls import ComparedRequests
from lab.overload.experiment import Record, experiment
from lab.overload.figures import figures_of
from lab.overload.plot import plot
from lab.overload.resources import Resources
from lab.service.service import Service
from loadtest import summary
from loadtest.budgets import OverloadBudget
from loadtest.errors import LoadtestError
from loadtest.judgement import judge_overload
from loadtest.photos import read_photos
from loadtest.target import Target

_UNTOLD = ("GATEWAY_DATABASE_URL", "GATEWAY_SECRETS_DIR")


def overload(
    target: Target,
    service: Service | None,
    *,
    photos: Path,
    budget: OverloadBudget,
    seconds: float,
    step_seconds: float,
    out: Path,
    docs: Path | None,
    console: Console,
) -> bool:
    """Runs it, and writes overload.json and overload.png; whether all budgets were held.

    Args:
        target: The service; over plain HTTP.
        service: The same one, if this process started it; None: memory is not measured.
        photos: Folder of the images.
        budget: What must be held.
        seconds: How long the overload lasts.
        step_seconds: How long each step before it lasts.
        out: Folder for the results.
        docs: A document that the table is written into.
        console: Where progress and table go.

    Raises:
        LoadtestError: the service cannot be asked, or gives no right answer unloaded.
    """
    if not target.url.startswith("http://"):
        raise LoadtestError(f"{target.url}: the generator speaks plain HTTP; give an http:// URL")

    async def run() -> Record:
        async with HttpConnections(target.url, target.headers) as connections:
            requests = ComparedRequests(connections, target, read_photos(photos))
            resources = Resources(service) if service else None
            return await experiment(requests, resources, seconds, step_seconds, say)

    def say(text: str) -> None:
        console.print(f"overload: {text}", markup=False)

    record = asyncio.run(run())
    figures = figures_of(record)
    breaches = judge_overload(budget, figures.judged())
    settings = _settings()
    document = {
        "machine": summary.machine(),
        "pipeline": target.pipeline,
        "settings": settings,
        "overload": figures.document(),
        "steps": [asdict(step) for step in record.steps],
        "breaches": summary.documents(breaches),
    }
    summary.write_json(out / "overload.json", document)
    plot(record, out / "overload.png")
    table = Table(box=None, show_header=False, pad_edge=False)
    for row in report.rows(figures):
        table.add_row(*row)
    console.print(table)
    summary.name_breaches(breaches, console)
    if docs:
        chosen = ", ".join(f"`{name}={value}`" for name, value in sorted(settings.items()))
        where = f"`{target.pipeline}` on {summary.machine()} that the generator shares"
        circumstances = f"{where}; {chosen or 'default settings'}."
        text = report.section(figures, record.steps, circumstances)
        replace_section(docs, report.SECTION, text)
    return not breaches


def _settings() -> dict[str, str]:
    """What the operator set of the gateway, but for addresses and keys."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("GATEWAY_") and not name.endswith("_PORT") and name not in _UNTOLD
    }
