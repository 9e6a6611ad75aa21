"""Lists feedback: the history of one prediction, and a pipeline's predictions with theirs."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection

from database import feedback as table
from database.clock import moment
from database.feedback import Query
from gateway.audit.audit_log import AuditLog
from gateway.audit.rows import Event, reading_row
from gateway.feedback.answered import AnsweredPredictions, Found
from gateway.feedback.finding import Kind
from gateway.feedback.shapes import Case, FeedbackEntry, FeedbackHistory
from gateway.identity.principal import Role
from gateway.telemetry.recorder import RequestContext
from pipelines.protocol import Parameter

_FILTERS = ("tenant", "since", "until", "after")


class FeedbackListing:
    """Lists what was said of predictions."""

    def __init__(self, answered: AnsweredPredictions, audit: AuditLog) -> None:
        """Connects it; `audit` notes who reads the predictions of a pipeline."""
        self._answered = answered
        self._audit = audit

    async def history(self, context: RequestContext, prediction_id: str) -> FeedbackHistory:
        """All feedback of a prediction.

        Raises:
            RefusedError: the prediction is unknown or another one's.
        """
        about = await self._answered.find(context, prediction_id, others=Role.AUDIT)
        found = await self._answered.read(partial(table.history, ids=[prediction_id]))
        return {
            "prediction_id": prediction_id,
            "pipeline": about.pipeline,
            "release": about.release,
            "feedback": [_entry(row) for row in found.get(prediction_id, [])],
        }

    async def cases(self, context: RequestContext, query: Query) -> list[Case]:
        """A page of a pipeline's predictions with their feedback. Reading it is a row, too.

        Raises:
            RefusedError: that row cannot be written.
        """

        def page(connection: Connection) -> list[Case]:
            rows = table.cases(connection, query)
            feedback = table.history(connection, [row.id for row in rows])
            return [_case(row, feedback.get(row.id, [])) for row in rows]

        found = await self._answered.read(page)
        # A name that no prediction has may be any text, as may the values of the other filters.
        if found:
            context.pipeline = query.pipeline
        named = [name for name in _FILTERS if getattr(query, name) is not None]
        said = {"filters": named, "unlabelled": query.unlabelled, "limit": query.limit}
        await self._audit.write([reading_row(context, Event.AUDIT_READ, said)])
        return found


def iso(at: int) -> str:
    """A time of the database in ISO 8601."""
    return moment(at).isoformat().replace("+00:00", "Z")


def _entry(row: Found) -> FeedbackEntry:
    said = json.loads(row.result)
    entry = {
        "id": row.id,
        "at": iso(row.at),
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
        "at": iso(row.at),
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
