"""Prints the outcomes of a run, as a table or as JSON lines."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console

from secondopinion._answers import AdvancedPrediction, Answer, Prediction
from secondopinion._detections import Detections
from secondopinion._outcome import Outcome, as_error, reason
from secondopinion._table import output, printable, show

_NAMED = 4  # detections, or classes of a set, that a row names
_SET, _WARNINGS = "set", "warnings"


def as_line(outcome: Outcome) -> str:
    """One JSON object: `file`, then the answer as the service sent it, or `error`.

    In place of a picture stands the path it was written to. The line is ASCII: file names that
    are no Unicode, or a terminal that is none, do no harm.
    """
    document: dict[str, Any] = {"file": str(outcome.file)}
    if isinstance(outcome.reply, Answer):
        document |= {key: value for key, value in outcome.reply.raw.items() if key != "file"}
        if outcome.picture is not None:
            document["visualization"] = str(outcome.picture)
    else:
        document["error"] = as_error(outcome.reply)
    return json.dumps(document)


def print_line(outcome: Outcome) -> None:
    """Prints the JSON line at once, so that a program at the other end of a pipe can follow."""
    typer.echo(as_line(outcome))


def print_table(outcomes: list[Outcome], notes: Console) -> None:
    """Prints a row for each photo, and to `notes` why some have no answer."""
    answers = [o.reply for o in outcomes if isinstance(o.reply, Answer)]
    members: list[str] = []
    if any(isinstance(answer, Detections) for answer in answers):
        header = ["file", "count", "detections"]
    else:
        header = ["file", "prediction", "confidence"]
        if any(isinstance(a, Prediction) and a.prediction_set is not None for a in answers):
            header.append(_SET)
        if any(isinstance(answer, AdvancedPrediction) for answer in answers):
            members = _member_names(answers)
            header += ["uncertainty", "disagreement", *members]
    warnings = _warnings(answers)
    if warnings:
        header.append(_WARNINGS)
    rows = [_row(outcome, header, members) for outcome in outcomes]
    if rows:
        show(header, rows, output())
    for outcome in outcomes:
        if not isinstance(outcome.reply, Answer):
            said = printable(f"{outcome.file}: {reason(outcome.reply)}", notes)
            notes.print(said, markup=False, soft_wrap=True)
    for code, detail in warnings.items():
        notes.print(printable(f"{code}: {detail}", notes), markup=False, soft_wrap=True)


def _warnings(answers: Iterable[Answer]) -> dict[str, str]:
    """The text of each warning about a photo, by its code."""
    return {code: detail for answer in answers for code, detail in _warned_of(answer).items()}


def _warned_of(answer: Answer) -> dict[str, str]:
    found: dict[str, str] = {}
    if answer.input is not None and answer.input.typical is False:
        found["atypical"] = answer.input.recommendation or ""
    if answer.quality is not None:
        found |= {warning.code: warning.detail for warning in answer.quality.warnings}
    return found


def _codes(answer: Answer) -> str:
    return ", ".join(_warned_of(answer))


def _member_names(answers: Iterable[Answer]) -> list[str]:
    named = (a.models for a in answers if isinstance(a, AdvancedPrediction))
    return list(dict.fromkeys(name for models in named for name in models))


def _row(outcome: Outcome, header: list[str], members: list[str]) -> list[str]:
    answer = outcome.reply
    if isinstance(answer, Detections):
        row = [str(outcome.file), str(len(answer.predictions)), _best(answer)]
        return [*row, _codes(answer)] if _WARNINGS in header else row
    if not isinstance(answer, Prediction):
        return [str(outcome.file), "failed", *[""] * (len(header) - 2)]
    row = [str(outcome.file), answer.prediction, f"{answer.confidence:.3f}"]
    if _SET in header:
        row.append(_set(answer.prediction_set))
    if isinstance(answer, AdvancedPrediction):
        row += [answer.uncertainty.level, f"{answer.uncertainty.disagreement:.3f}"]
        for name in members:
            model = answer.models.get(name)
            row.append(f"{model.prediction} {model.confidence:.3f}" if model else "")
    return [*row, _codes(answer)] if _WARNINGS in header else row


def _set(names: Sequence[str] | None) -> str:
    """A set's classes; a set without any is not the same as no set."""
    if names is None:
        return ""
    more = len(names) - _NAMED
    return ", ".join([*names[:_NAMED], *([f"{more} more"] if more > 0 else [])]) or "none"


def _best(answer: Detections) -> str:
    shown: Sequence[str] = [f"{d.class_name} {d.score:.2f}" for d in answer.predictions[:_NAMED]]
    more = len(answer.predictions) - len(shown)
    return ", ".join([*shown, f"{more} more"] if more else shown)
