"""Appends feedback to predictions to the audit log, and deletes the names in it."""

import asyncio
import hashlib
import hmac
import json
import secrets
from functools import partial
from typing import cast

from database import feedback as table
from database.feedback import Texts
from gateway.audit.audit_log import AuditLog
from gateway.audit.rows import Event, feedback_row, reading_row
from gateway.core.catalog import Catalog
from gateway.errors import Code, RefusedError
from gateway.feedback.answered import ID, AnsweredPredictions, Found
from gateway.feedback.finding import Feedback
from gateway.feedback.listing import iso
from gateway.feedback.shapes import FeedbackReceipt
from gateway.identity.principal import Role
from gateway.results.shapes import ReceiptFacts
from gateway.telemetry.recorder import RequestContext

MOST = 100
"""Feedback of one prediction: who may predict so much can say so much."""
_SALT = 16


class FeedbackRecords:
    """Takes feedback."""

    def __init__(
        self, answered: AnsweredPredictions, audit: AuditLog, catalog: Catalog, pepper: bytes
    ) -> None:
        """Connects it.

        Args:
            answered: has the predictions.
            audit: takes the rows.
            catalog: has the classes of pipelines.
            pepper: what digests of names and comments are made with.
        """
        self._answered = answered
        self._audit = audit
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
        about = await self._answered.find(context, prediction_id)
        if await self._answered.read(partial(table.count, prediction_id=prediction_id)) >= MOST:
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
            "at": iso(at),
            "receipt": cast("ReceiptFacts", receipt.as_json()),
        }

    async def delete_texts(
        self, context: RequestContext, prediction_id: str, feedback_id: str
    ) -> bool:
        """Deletes reader and comment of a feedback; whether there were any.

        Raises:
            RefusedError: the prediction is unknown or another one's, or nothing can be written.
        """
        await self._answered.find(context, prediction_id, others=Role.OPERATE)
        if not ID.fullmatch(feedback_id):
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


def _size(row: Found) -> tuple[int, int] | None:
    image = json.loads(row.result or "{}").get("image")
    return (image["width"], image["height"]) if image else None
