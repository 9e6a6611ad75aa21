"""What the audit log's rows say of a release while it serves: refusals, time, answers, feedback."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Select, func, select

from database.tables import feedback, predictions
from pipelines.protocol import NAMED_RELEASE, Parameter

_PREDICTION = "prediction"
_OF_OPERATORS = "command"
"""Transport of rows that nobody asked for who wanted an answer."""
_BATCH = "predict/batch"
_ONE_REQUEST = 1_000_000
"""Microseconds: rows of one request are written together."""
_OTHERS = {
    str(Parameter.MEMBER),
    str(Parameter.THRESHOLD),
    str(Parameter.EXPLAIN),
    NAMED_RELEASE,
}
"""Who chose these got no answer of the release as it is, or waited for more than an answer."""


class Figure(StrEnum):
    """What is watched of a release."""

    REFUSED = "refused"
    """Share of images without an answer, for a reason that may be the release's."""
    SECONDS = "seconds"
    """Time in Triton, with the wait for it, of an image that came alone."""
    UNCERTAIN = "uncertain"
    """Share of answers whose uncertainty level is `high`."""
    ATYPICAL = "atypical"
    """Share of images that are not of the kind that the models learnt from."""
    CORRECTED = "corrected"
    """Share of answers with feedback whose first feedback says something else."""


Samples = dict[Figure, list[float]]
"""Of each figure what was seen, one after the other: 1 or 0, or seconds."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows are read."""

    pipeline: str
    release: str
    since: int
    """Microseconds since 1970."""
    until: int
    blamed: Collection[str]
    """Codes of refusals that may be the release's."""
    most: int
    """Rows."""
    newest: bool = False
    """Whether the newest rows are read where there are more, and not the oldest."""


def samples(connection: Connection, window: Window) -> Samples:
    """What rows in a window say of a release; refused ones name none, and count by their time.

    Images of one request are alike, so each request counts once, by its first image.
    """
    found: Samples = {figure: [] for figure in Figure}
    for row in _requests(connection.execute(_images(window)), window):
        if _OTHERS & _parsed(row.parameters).keys():
            continue
        found[Figure.REFUSED].append(float(row.refusal is not None))
        if row.refusal is not None:
            continue
        result = _parsed(row.result)
        seconds = _parsed(row.stages).get("infer")
        if seconds is not None and row.route != _BATCH:
            found[Figure.SECONDS].append(float(seconds))
        if (level := (result.get("uncertainty") or {}).get("level")) is not None:
            found[Figure.UNCERTAIN].append(float(level == "high"))
        if (typical := (result.get("input") or {}).get("typical")) is not None:
            found[Figure.ATYPICAL].append(float(not typical))
    found[Figure.CORRECTED] = _corrected(connection, window)
    return found


def count(connection: Connection, window: Window) -> int:
    """How many rows there are to read, of images and of feedback: quick, as none is read."""
    return sum(
        connection.scalar(select(func.count()).select_from(chosen.subquery())) or 0
        for chosen in (_images(window), _feedback(window))
    )


def _images(window: Window) -> Select[Any]:
    table = predictions.c
    chosen = (
        select(
            table.at,
            table.principal_id,
            table.request_id,
            table.route,
            table.parameters,
            table.result,
            table.refusal,
            table.stages,
        )
        .where(
            table.at >= window.since,
            table.at < window.until,
            table.pipeline == window.pipeline,
            table.event == _PREDICTION,
            table.transport != _OF_OPERATORS,
            (table.release == window.release) | table.refusal.in_(sorted(window.blamed)),
        )
        .limit(window.most)
    )
    return _ordered(chosen, table.at, table.id, window)


def _requests(rows: Iterable[Any], window: Window) -> Iterator[Any]:
    """The first row of each request, in the order of time."""
    last: dict[tuple[str, str], int] = {}
    for row in reversed(list(rows)) if window.newest else rows:
        key = row.principal_id, row.request_id
        if row.at - last.get(key, -_ONE_REQUEST) >= _ONE_REQUEST:
            yield row
        last[key] = row.at


def _corrected(connection: Connection, window: Window) -> list[float]:
    """Whether the first feedback of each answer says something else."""
    rows = list(connection.execute(_feedback(window)))
    first = {row.prediction_id: row for row in (rows if window.newest else reversed(rows))}
    return [
        float(differs)
        for row in rows
        if first[row.prediction_id] is row
        and (differs := _differs(_parsed(row.result), _parsed(row.finding))) is not None
    ]


def _feedback(window: Window) -> Select[Any]:
    said = predictions.alias("said")
    chosen = (
        select(feedback.c.prediction_id, predictions.c.result, said.c.result.label("finding"))
        .join(predictions, predictions.c.id == feedback.c.prediction_id)
        .join(said, said.c.id == feedback.c.id)
        .where(
            feedback.c.at >= window.since,
            feedback.c.at < window.until,
            predictions.c.pipeline == window.pipeline,
            predictions.c.release == window.release,
        )
        .limit(window.most)
    )
    return _ordered(chosen, feedback.c.at, feedback.c.id, window)


def _differs(result: dict[str, Any], finding: dict[str, Any]) -> bool | None:
    """Whether a finding is another one; None where it cannot be told.

    Of a detector: whether the objects of any class are more or fewer.
    """
    if (label := finding.get("label")) is not None and "prediction" in result:
        return bool(label != result["prediction"])
    if (objects := finding.get("objects")) is not None and "predictions" in result:
        return _classes(objects) != _classes(result["predictions"])
    return None


def _classes(objects: Iterable[dict[str, Any]]) -> Counter[str]:
    return Counter(str(each.get("class")) for each in objects)


def _ordered(chosen: Select[Any], at: Any, identity: Any, window: Window) -> Select[Any]:  # noqa: ANN401 - columns
    if window.newest:
        return chosen.order_by(at.desc(), identity.desc())
    return chosen.order_by(at, identity)


def _parsed(text: str | None) -> dict[str, Any]:
    """A row's JSON; of a row that somebody has broken nothing, as `audit verify` tells of it."""
    with suppress(ValueError):
        if text and isinstance(found := json.loads(text), dict):
            return found
    return {}
