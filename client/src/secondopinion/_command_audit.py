"""The commands `secondopinion prediction` and `secondopinion audit`: rows of the audit log."""

import json
from datetime import datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from secondopinion._audit import AuditFilter, AuditRow
from secondopinion._client import Client
from secondopinion._connection import DEFAULT_URL
from secondopinion._errors import SecondOpinionError
from secondopinion._exit_codes import stopped
from secondopinion._options import TIMES, Url
from secondopinion._retries import Retries
from secondopinion._table import output, show

_ONCE = Retries(attempts=1)
_Only = Annotated[str | None, typer.Option(metavar="VALUE", help="Only rows with this value.")]


def prediction(
    prediction_id: Annotated[
        str, typer.Argument(metavar="PREDICTION", help="The answer's `prediction_id`.")
    ],
    *,
    url: Url = DEFAULT_URL,
    receipt: Annotated[
        bool, typer.Option("--receipt", help="Print its receipt instead, signed.")
    ] = False,
) -> None:
    """Prints what the audit log has of a prediction, as JSON. Needs no role for one's own.

    `python -m gateway audit verify --receipt FILE` of the service checks a receipt.
    """
    try:
        with Client(url, retries=_ONCE) as client:
            if receipt:
                said = msgspec.to_builtins(client.receipt(prediction_id))
            else:
                said = client.prediction(prediction_id).raw
    except (SecondOpinionError, ValueError) as error:
        raise stopped(error) from error
    typer.echo(json.dumps(said, indent=2))


def audit(
    *,
    url: Url = DEFAULT_URL,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=TIMES, help="UTC; from then on.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=TIMES, help="UTC; before then.")
    ] = None,
    event: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="`prediction`, `refusal`, `feedback`, `audit_read`..."),
    ] = None,
    caller: Annotated[str | None, typer.Option(metavar="NAME", help="The owner's name.")] = None,
    pipeline: _Only = None,
    release: _Only = None,
    outcome: Annotated[
        str | None, typer.Option(metavar="CODE", help="`ok`, or a problem's code.")
    ] = None,
    request_id: _Only = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows of a page.")] = 100,
    cursor: Annotated[
        str | None, typer.Option(metavar="ID", help="Of the page before, which prints it.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the page as the service's JSON.")
    ] = False,
    all_rows: Annotated[
        bool, typer.Option("--jsonl", help="Print all rows, one JSON object a line; no pages.")
    ] = False,
) -> None:
    """Lists rows of the audit log, the newest first. Needs the role `audit`."""
    if all_rows and (as_json or cursor is not None):
        raise typer.BadParameter("takes neither --json nor --cursor", param_hint="--jsonl")
    only: AuditFilter = {
        "since": since,
        "until": until,
        "event": event,
        "caller": caller,
        "pipeline": pipeline,
        "release": release,
        "outcome": outcome,
        "request_id": request_id,
    }
    try:
        with Client(url, retries=_ONCE) as client:
            if all_rows:
                for row in client.audit_rows(**only):
                    typer.echo(json.dumps(row.raw, separators=(",", ":")))
                return
            page = client.audit(limit=limit, cursor=cursor, **only)
    except BrokenPipeError:
        raise  # nobody reads on; typer ends quietly
    except (SecondOpinionError, ValueError) as error:
        raise stopped(error) from error
    if as_json:
        typer.echo(json.dumps(page.raw, indent=2))
        return
    header = ["row", "at", "event", "caller", "pipeline", "release", "outcome", "result"]
    show(header, [_cells(row) for row in page.rows], output())
    if page.next is not None:
        Console(stderr=True, highlight=False).print(f"more: --cursor {page.next}", soft_wrap=True)


def _cells(row: AuditRow) -> list[str]:
    return [
        row.prediction_id,
        f"{row.at:%Y-%m-%dT%H:%M:%SZ}",
        row.event,
        row.caller.name,
        row.pipeline,
        row.release or "",
        row.refusal or "ok",
        _result(row),
    ]


def _result(row: AuditRow) -> str:
    """What a prediction said, in a word."""
    result = row.result or {}
    if isinstance(found := result.get("predictions"), list):
        return f"{len(found)} objects"
    return str(result.get("prediction", result.get("label", "")))
