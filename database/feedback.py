"""Feedback in the database: functions of a connection that append, list and delete it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, exists, func, insert, select

from database.tables import feedback, feedback_comments, kept_images, predictions

_PREDICTION = "prediction"
"""The event of the audit log that feedback is about."""
_AT_ONCE = 500
"""Fewer than the variables that any database takes in a statement."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What of a feedback may name people, and the salt of its digests."""

    salt: bytes
    reader: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class Query:
    """Which predictions of a pipeline to list."""

    pipeline: str
    tenant: str | None
    """None: of all."""
    unlabelled: bool
    """Also those without feedback."""
    since: int | None
    until: int | None
    after: str | None
    """Id of the last prediction of the page before."""
    limit: int


def add(
    connection: Connection, feedback_id: str, prediction_id: str, at: int, texts: Texts | None
) -> None:
    """Notes a feedback, whose row in the audit log is written in the same transaction."""
    connection.execute(insert(feedback).values(id=feedback_id, prediction_id=prediction_id, at=at))
    if texts is not None:
        connection.execute(
            insert(feedback_comments).values(
                feedback_id=feedback_id,
                salt=texts.salt,
                reader=texts.reader,
                comment=texts.comment,
            )
        )


def count(connection: Connection, prediction_id: str) -> int:
    """How much feedback a prediction has."""
    own = feedback.c.prediction_id == prediction_id
    return connection.scalar(select(func.count()).select_from(feedback).where(own)) or 0


def history(connection: Connection, ids: Iterable[str]) -> dict[str, list[Row[Any]]]:
    """The feedback of predictions, by their ids: each has all of its rows, the first one first.

    Columns: those of its row in the audit log, and `salt`, `reader` and `comment`, all None where
    there are none.
    """
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    wanted = list(ids)
    for start in range(0, len(wanted), _AT_ONCE):
        chosen = feedback.c.prediction_id.in_(wanted[start : start + _AT_ONCE])
        for row in connection.execute(_entries().where(chosen).order_by(feedback.c.id)):
            found[row.prediction_id].append(row)
    return found


def cases(connection: Connection, query: Query) -> Sequence[Row[Any]]:
    """Answered predictions in the order of their ids: rows of the audit log, and `image_kept`."""
    statement = (
        select(predictions, kept_images.c.wrapped_key.is_not(None).label("image_kept"))
        .outerjoin(kept_images, kept_images.c.prediction_id == predictions.c.id)
        .where(
            predictions.c.event == _PREDICTION,
            predictions.c.pipeline == query.pipeline,
            predictions.c.refusal.is_(None),
        )
        .order_by(predictions.c.id)
        .limit(query.limit)
    )
    if not query.unlabelled:
        log = predictions.alias("log")
        labelled = select(feedback.c.prediction_id).join(log, log.c.id == feedback.c.id)
        statement = statement.where(predictions.c.id.in_(labelled))
    if query.tenant is not None:
        statement = statement.where(predictions.c.tenant == query.tenant)
    if query.since is not None:
        statement = statement.where(predictions.c.at >= query.since)
    if query.until is not None:
        statement = statement.where(predictions.c.at < query.until)
    if query.after is not None:
        statement = statement.where(predictions.c.id > query.after)
    return connection.execute(statement).all()


def delete_texts(connection: Connection, prediction_id: str, feedback_id: str) -> bool:
    """Deletes reader and comment of one feedback of a prediction; whether there were any."""
    known = select(feedback.c.id).where(feedback.c.prediction_id == prediction_id)
    chosen = (feedback_comments.c.feedback_id == feedback_id) & (
        feedback_comments.c.feedback_id.in_(known)
    )
    return connection.execute(delete(feedback_comments).where(chosen)).rowcount > 0


def delete_orphans(connection: Connection) -> int:
    """Deletes feedback whose row is in the audit log no more, with its comments; how many."""
    row = exists().where(predictions.c.id == feedback.c.id)
    gone = select(feedback.c.id).where(~row)
    ids = [each.id for each in connection.execute(gone)]
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        connection.execute(
            delete(feedback_comments).where(feedback_comments.c.feedback_id.in_(part))
        )
        connection.execute(delete(feedback).where(feedback.c.id.in_(part)))
    return len(ids)


def _entries() -> Select[Any]:
    """Feedback whose row is in the audit log."""
    log = predictions.alias("log")
    return (
        select(
            log,
            feedback.c.prediction_id,
            feedback_comments.c.salt,
            feedback_comments.c.reader,
            feedback_comments.c.comment,
        )
        .select_from(feedback)
        .join(log, log.c.id == feedback.c.id)
        .outerjoin(feedback_comments, feedback_comments.c.feedback_id == feedback.c.id)
    )
