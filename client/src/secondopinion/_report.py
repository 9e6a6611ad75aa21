"""Two ways to tell what became of the photos: a table for people, JSON lines for programs."""

import json
from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console

from secondopinion._answers import AdvancedPrediction, Prediction
from secondopinion._asking import Outcome
from secondopinion._errors import ProblemError, SecondOpinionError, TransportError
from secondopinion._table import output, printable, show


def reason(error: SecondOpinionError | OSError) -> str:
    """Why there is no answer, in one line."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def as_line(outcome: Outcome) -> str:
    """One JSON object: `file`, then the answer as the service sent it, or `error`.

    It is ASCII: file names that are no Unicode, or a terminal that is none, do no harm.
    """
    document: dict[str, Any] = {"file": str(outcome.file)}
    if isinstance(outcome.reply, Prediction):
        document |= {key: value for key, value in outcome.reply.raw.items() if key != "file"}
    else:
        document["error"] = _as_error(outcome.reply)
    return json.dumps(document)


def _as_error(error: SecondOpinionError | OSError) -> dict[str, object]:
    if isinstance(error, ProblemError):
        problem = error.problem
        return {
            "status": problem.status,
            "code": problem.code,
            "title": problem.title,
            "detail": problem.detail,
            "request_id": problem.request_id,
        }
    if isinstance(error, OSError):
        return {"code": "file_unreadable", "detail": reason(error)}
    # Codes of this side, which the service has no chance to give.
    code = "no_answer" if isinstance(error, TransportError) else "answer_unexpected"
    return {"code": code, "detail": str(error)}


def print_line(outcome: Outcome) -> None:
    """Prints the JSON line at once, so that a reader down the pipe can follow."""
    typer.echo(as_line(outcome))


def print_table(outcomes: list[Outcome], notes: Console) -> None:
    """Prints a row for each photo, and to `notes` why some have no answer."""
    answers = [o.reply for o in outcomes if isinstance(o.reply, Prediction)]
    header = ["file", "prediction", "confidence"]
    members: list[str] = []
    if any(isinstance(answer, AdvancedPrediction) for answer in answers):
        members = _member_names(answers)
        header += ["uncertainty", "disagreement", *members]
    rows = [_row(outcome, header, members) for outcome in outcomes]
    if rows:
        show(header, rows, output())
    for outcome in outcomes:
        if not isinstance(outcome.reply, Prediction):
            said = printable(f"{outcome.file}: {reason(outcome.reply)}", notes)
            notes.print(said, markup=False, soft_wrap=True)


def _member_names(answers: Iterable[Prediction]) -> list[str]:
    named = (a.models for a in answers if isinstance(a, AdvancedPrediction))
    return list(dict.fromkeys(name for models in named for name in models))


def _row(outcome: Outcome, header: list[str], members: list[str]) -> list[str]:
    answer = outcome.reply
    if not isinstance(answer, Prediction):
        return [str(outcome.file), "failed", *[""] * (len(header) - 2)]
    row = [str(outcome.file), answer.prediction, f"{answer.confidence:.3f}"]
    if isinstance(answer, AdvancedPrediction):
        row += [answer.uncertainty.level, f"{answer.uncertainty.disagreement:.3f}"]
        for name in members:
            model = answer.models.get(name)
            row.append(f"{model.prediction} {model.confidence:.3f}" if model else "")
    return row
