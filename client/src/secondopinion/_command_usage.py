"""The command `secondopinion usage`: who asked what, what came of it, and what it cost."""

import csv
import json
import sys
from datetime import datetime
from typing import Annotated

import typer

from secondopinion._client import Client
from secondopinion._connection import DEFAULT_URL
from secondopinion._errors import SecondOpinionError
from secondopinion._exit_codes import stopped
from secondopinion._options import TIMES, Url
from secondopinion._retries import Retries
from secondopinion._table import output, show
from secondopinion._usage import UsageReport, UsageRow, UsageSums

_DIMENSIONS = "caller, name, pipeline, release, format, outcome, level, hour"
_SUMS = (
    "images",
    "bytes",
    "cpu_seconds",
    "gpu_seconds",
    "estimated_seconds",
    "cost",
    "cost_per_thousand",
)

Since = Annotated[
    datetime | None,
    typer.Option("--from", formats=TIMES, help="UTC. Default: the beginning of this month."),
]
Until = Annotated[datetime | None, typer.Option("--to", formats=TIMES, help="UTC. Default: now.")]
Only = Annotated[str | None, typer.Option(metavar="VALUE", help="Only images with this value.")]


def usage(  # noqa: PLR0917 - typer's options
    url: Url = DEFAULT_URL,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help=f"{_DIMENSIONS}; again, or with commas, for more."),
    ] = None,
    since: Since = None,
    until: Until = None,
    caller: Only = None,
    name: Only = None,
    pipeline: Only = None,
    release: Only = None,
    outcome: Only = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the service's JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Says how many images the service has answered, for whom, and what that cost."""
    try:
        with Client(url, retries=Retries(attempts=1)) as client:
            report = client.usage(
                by or [],
                since=since,
                until=until,
                caller=caller,
                name=name,
                pipeline=pipeline,
                release=release,
                outcome=outcome,
            )
    except (SecondOpinionError, ValueError) as error:
        raise stopped(error) from error
    if as_json:
        typer.echo(json.dumps(report.raw, indent=2))
    elif as_csv:
        _csv(report)
    else:
        _table(report)


def _csv(report: UsageReport) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*report.by, *_SUMS, "currency"])
    for row in report.rows or (report.total,):
        cells = [*_common(row, report), *(getattr(row, name) for name in _SUMS)]
        writer.writerow(["" if cell is None else cell for cell in cells] + [report.prices.currency])


def _table(report: UsageReport) -> None:
    console = output()
    console.print(f"{report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC")
    currency = report.prices.currency
    header = [*report.by, "images", "CPU s", "GPU s", currency, f"{currency} for 1000"]
    rows = [[*_common(row, report), *_shown(row)] for row in report.rows]
    blank = [""] * (len(report.by) - 1)
    rows.append([*(["all", *blank] if report.by else []), *_shown(report.total)])
    if report.idle is not None:
        idle = report.idle
        times = [f"{idle.cpu_seconds:.1f}", f"{idle.gpu_seconds:.1f}"]
        first = ["idle", *blank, ""] if report.by else ["idle"]
        rows.append([*first, *times, _money(idle.cost), ""])
    show(header, rows, console)
    if report.total.estimated_seconds:
        console.print(f"{report.total.estimated_seconds:.1f} s of these are estimates")


def _common(row: UsageRow | UsageSums, report: UsageReport) -> list[str]:
    values = [getattr(row, name, None) for name in report.by]
    return [
        f"{value:%Y-%m-%dT%H:%MZ}" if isinstance(value, datetime) else value or ""
        for value in values
    ]


def _shown(sums: UsageSums) -> list[str]:
    return [
        str(sums.images),
        f"{sums.cpu_seconds:.1f}",
        f"{sums.gpu_seconds:.1f}",
        _money(sums.cost),
        _money(sums.cost_per_thousand),
    ]


def _money(amount: float | None) -> str:
    return "" if amount is None else f"{amount:.4f}"
