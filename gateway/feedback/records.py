"""Feedback to predictions: appended to the audit log, and listed from there."""

import asyncio
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, Row, select

from database import feedback as table
from database.engine import reading
from database.feedback import Query, Texts
from database.tables import predictions
from gateway.audit.audit_log import AuditLog
from gateway.audit.rows import Event, feedback_row, reading_row
from gateway.core.catalog import Catalog
from gateway.errors import Code, RefusedError
from gateway.feedback.finding import Feedback, Kind
from gateway.feedback.shapes import Case, FeedbackEntry, FeedbackHistory, FeedbackReceipt
from gateway.identity.principal import Role
from gateway.telemetry.recorder import RequestContext
from pipelines.protocol import Parameter

T = TypeVar("T")
Found = Row[Any]

MOST = 100
"""Feedback of one prediction: who may predict so much can say so much."""
_SALT = 16
_ID = re.compile(r"[0-9a-f-]{36}")
"""Databases do not take every text."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FeedbackRecords:
    """Takes and lists feedback. Callers of one name see each other's predictions."""

    def __init__(self, audit: AuditLog, engine: Engine, catalog: Catalog, pepper: bytes) -> None:
        """Connects it.

        Args:
            audit: takes the rows.
            engine: of the same database, for reading.
            catalog: has the classes of pipelines.
            pepper: what digests of names and comments are made with.
        """
        self._audit = audit
        self._engine = engine
        self._catalog = catalog
        self._digest_key = hmac.digest(pepper, b"digest of a comment", "sha256")

    async def add(
        self, context: RequestContext, prediction_id: str, said: Feedback
    ) -> FeedbackReceipt:
        """Appends a feedback; it is durable when this returns.

        Raises:
            RefusedError: the prediction is unknown or another one's, the feedback does not fit it,
                or nothing can be written.
        """
        about = await self.prediction(context, prediction_id)
        if await self._read(partial(table.count, prediction_id=prediction_id)) >= MOST:
            raise RefusedError(
                Code.FEEDBACK_INVALID,
                f"prediction: its feedback has {MOST} entries, and there may be no more.",
            )
        release = await self._catalog.nearest(about.pipeline, about.release)
        # Masks may have many runs.
        finding = await asyncio.to_thread(said.finding, release.spec, _size(about))
        result = {"prediction_id": prediction_id, "kind": str(said.kind), **finding}
        texts = None
        if said.reader is not None or said.comment is not None:
            texts = Texts(secrets.token_bytes(_SALT), said.reader, said.comment)
            result |= self._digests(texts)
        row = feedback_row(context, about.release, about.release_sha256, result)
        feedback_id, at = row["id"], row["at"]
        (receipt,) = await self._audit.write(
            [row], lambda each, _: table.add(each, feedback_id, prediction_id, at, texts)
        )
        return {
            "id": feedback_id,
            "prediction_id": prediction_id,
            "at": moment(at),
            "receipt": {
                "chain": receipt.chain,
                "position": receipt.position,
                "head": receipt.head,
            },
        }

    async def history(self, context: RequestContext, prediction_id: str) -> FeedbackHistory:
        """All feedback of a prediction.

        Raises:
            RefusedError: the prediction is unknown or another one's.
        """
        about = await self.prediction(context, prediction_id, others=Role.AUDIT)
        found = await self._read(partial(table.history, ids=[prediction_id]))
        return {
            "prediction_id": prediction_id,
            "pipeline": about.pipeline,
            "release": about.release,
            "feedback": [_entry(row) for row in found.get(prediction_id, [])],
        }

    async def delete_texts(
        self, context: RequestContext, prediction_id: str, feedback_id: str
    ) -> bool:
        """Deletes reader and comment of a feedback; whether there were any.

        Raises:
            RefusedError: the prediction is unknown or another one's, or nothing can be written.
        """
        await self.prediction(context, prediction_id, others=Role.OPERATE)
        if not _ID.fullmatch(feedback_id):
            return False
        deleted = await self._audit.run(
            partial(table.delete_texts, prediction_id=prediction_id, feedback_id=feedback_id)
        )
        if deleted:
            await self.note(context, Event.COMMENT_DELETED, prediction_id, feedback=feedback_id)
        return deleted

    async def note(
        self, context: RequestContext, event: Event, prediction_id: str, **more: str
    ) -> None:
        """Writes a row of what was read or deleted.

        Raises:
            RefusedError: it cannot be written.
        """
        parameters = {"prediction_id": prediction_id, **more}
        await self._audit.write([reading_row(context, event, parameters)])

    async def cases(self, context: RequestContext, query: Query) -> list[Case]:
        """A page of a pipeline's predictions with their feedback. Reading it is a row, too.

        Raises:
            RefusedError: that row cannot be written.
        """
        context.pipeline = query.pipeline
        asked = {name: value for name, value in asdict(query).items() if value is not None}
        await self._audit.write([reading_row(context, Event.AUDIT_READ, asked)])

        def page(connection: Connection) -> list[Case]:
            rows = table.cases(connection, query)
            feedback = table.history(connection, [row.id for row in rows])
            return [_case(row, feedback.get(row.id, [])) for row in rows]

        return await self._read(page)

    async def prediction(
        self, context: RequestContext, prediction_id: str, others: Role | None = None
    ) -> Found:
        """The row of an answered prediction of the caller's own; notes its pipeline.

        Args:
            context: of the caller's request.
            prediction_id: as the answer has it.
            others: a role that sees other callers' predictions, too.

        Raises:
            RefusedError: `forbidden` without the role, or for another pipeline;
                `prediction_unknown`, also where it is another one's: who may not see a prediction
                does not learn that it exists.
        """
        principal = context.principal
        principal.require(Role.FEEDBACK)
        statement = select(predictions).where(
            predictions.c.id == prediction_id,
            predictions.c.event == Event.PREDICTION,
            predictions.c.refusal.is_(None),
        )
        if others is None or not principal.may(others):
            statement = statement.where(predictions.c.tenant == principal.name)
        known = _ID.fullmatch(prediction_id)
        row = await self._read(lambda each: each.execute(statement).first()) if known else None
        if row is None:
            raise RefusedError(
                Code.PREDICTION_UNKNOWN,
                "prediction: you have none of this id that was answered. Send the answer's "
                "`prediction_id` with the key that asked.",
            )
        principal.require_covered(row.pipeline)
        context.pipeline = row.pipeline
        return row

    def _digests(self, texts: Texts) -> dict[str, str]:
        """Of what may name people. The salt goes with it: then nobody can guess it any more."""
        said = {"reader": texts.reader, "comment": texts.comment}
        return {
            f"{name}_digest": hmac.new(
                self._digest_key, texts.salt + text.encode(), hashlib.sha256
            ).hexdigest()
            for name, text in said.items()
            if text is not None
        }

    async def _read(self, function: Callable[[Connection], T]) -> T:
        def read() -> T:
            with reading(self._engine).connect() as connection, connection.begin():
                return function(connection)

        return await asyncio.to_thread(read)


def moment(microseconds: int) -> str:
    """A time of the database in ISO 8601."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")


def _size(row: Found) -> tuple[int, int] | None:
    image = json.loads(row.result or "{}").get("image")
    return (image["width"], image["height"]) if image else None


def _entry(row: Found) -> FeedbackEntry:
    said = json.loads(row.result)
    entry = {
        "id": row.id,
        "at": moment(row.at),
        "kind": Kind(said["kind"]),
        "by": row.tenant,
        **{name: said[name] for name in ("label", "objects") if name in said},
        "reader": row.reader,
        "comment": row.comment,
        "deleted": row.salt is None and bool({"reader_digest", "comment_digest"} & said.keys()),
    }
    return cast("FeedbackEntry", entry)


def _case(row: Found, feedback: Sequence[Found]) -> Case:
    said = json.loads(row.result)
    case: dict[str, Any] = {
        "prediction_id": row.id,
        "at": moment(row.at),
        "pipeline": row.pipeline,
        "release": row.release,
        "site": row.tenant,
        "image_kept": bool(row.image_kept),
        "feedback": [_entry(each) for each in feedback],
    }
    if (member := json.loads(row.parameters).get(Parameter.MEMBER)) is not None:
        case["member"] = member
    for name in ("prediction", "confidence", "threshold", "image"):
        if name in said:
            case[name] = said[name]
    if "uncertainty" in said:
        case["level"] = said["uncertainty"]["level"]
    if "predictions" in said:
        case["detections"] = said["predictions"]
    return cast("Case", case)
