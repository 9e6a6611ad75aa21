"""The command `secondopinion feedback`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from secondopinion._client import Client
from secondopinion._connection import DEFAULT_URL
from secondopinion._errors import SecondOpinionError
from secondopinion._exit_codes import stopped
from secondopinion._feedback import FeedbackEntry, LabelledObject
from secondopinion._options import Url
from secondopinion._table import output, show


class Kind(StrEnum):
    """When the reader said it."""

    BEFORE = "before"
    CORRECTION = "correction"


def feedback(
    prediction: Annotated[
        str, typer.Argument(metavar="PREDICTION", help="The answer's `prediction_id`.")
    ],
    *,
    url: Url = DEFAULT_URL,
    label: Annotated[
        str | None, typer.Option(metavar="CLASS", help="The true class, of a classifier.")
    ] = None,
    objects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="All objects of the image, of a detector: a JSON list of "
            '{"class", "box": [x1, y1, x2, y2], "mask": {"size", "counts"}}; - reads stdin.',
        ),
    ] = None,
    kind: Annotated[
        Kind,
        typer.Option(
            help="`correction`: what is right, also where the models are. `before`: the reader's "
            "own finding before the models' was shown."
        ),
    ] = Kind.CORRECTION,
    reader: Annotated[str | None, typer.Option(metavar="NAME", help="Who says so.")] = None,
    comment: Annotated[str | None, typer.Option(metavar="TEXT", help="Free text.")] = None,
) -> None:
    """Says what is right of a prediction; without --label and --objects shows what was said.

    Feedback is added to what was said before, and replaces nothing.
    """
    asks = label is None and objects is None
    if asks and (reader is not None or comment is not None):
        raise typer.BadParameter("go with --label or --objects", param_hint="--reader, --comment")
    try:
        found = None if objects is None else _objects(objects)
        with Client(url) as client:
            if asks:
                _show(client.feedback_history(prediction).feedback)
                return
            receipt = client.feedback(
                prediction, label=label, objects=found, kind=kind, reader=reader, comment=comment
            )
    except (SecondOpinionError, ValueError, OSError) as error:
        raise stopped(error) from error
    typer.echo(f"recorded: {receipt.id}")


def _objects(file: Path) -> list[LabelledObject]:
    content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    try:
        return msgspec.json.decode(content, type=list[LabelledObject])
    except msgspec.DecodeError as error:
        raise ValueError(f"{file}: {error}; write a JSON list of objects") from None


def _show(entries: tuple[FeedbackEntry, ...]) -> None:
    rows = [
        [
            each.id,
            each.at,
            each.kind,
            each.label or ", ".join(found.class_name for found in each.objects or ()) or "nothing",
            each.by,
            "(deleted)" if each.deleted else each.reader or "",
            each.comment or "",
        ]
        for each in entries
    ]
    show(["feedback", "at", "kind", "finding", "by", "reader", "comment"], rows, output())
