"""Reading the audit log: single rows, pages, all rows of a filter. Each reading is a row itself."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import ColumnElement, Engine, RowMapping, select
from typing_extensions import TypedDict

from database.chain import Receipt, SignedReceipt
from database.clock import microseconds, moment
from database.engine import reading
from database.tables import predictions
from gateway.audit.audit_log import AuditLog
from gateway.audit.rows import Event, reading_row
from gateway.errors import Code, RefusedError
from gateway.identity.principal import Principal, Role
from gateway.results.shapes import ReceiptFacts, closed, doc
from gateway.telemetry.recorder import RequestContext

_OK = "ok"
_PAGE = 500


@closed
class AuditCaller(TypedDict):
    """Who sent a request."""

    id: Annotated[str, doc("Stays the same when a key is rotated; empty without credentials.")]
    kind: str
    credential: Annotated[str, doc("Id of the key, or the token's `jti`; never the credential.")]
    name: Annotated[str, doc("The owner.")]


@closed
class AuditInput(TypedDict):
    """The image of a row."""

    digest: Annotated[str, doc("HMAC-SHA256 of the encoded bytes, by a key of the service.")]
    bytes: int
    format: str | None


@closed
class AuditRow(TypedDict):
    """A row of the audit log."""

    prediction_id: str
    event: str
    at: Annotated[str, doc("UTC.")]
    caller: AuditCaller
    request_id: str
    transport: str
    route: str
    pipeline: str
    release: str | None
    release_sha256: Annotated[str | None, doc("Of the release's file.")]
    input: AuditInput | None
    parameters: dict[str, Any]
    result: Annotated[dict[str, Any] | None, doc("All that the answer could say.")]
    refusal: Annotated[str | None, doc("The problem's code.")]
    stages: Annotated[dict[str, float], doc("Seconds.")]
    compute: Annotated[dict[str, Any] | None, doc("Seconds and device by part.")]
    compute_seconds: float | None
    kept: Annotated[bool, doc("Whether the image was kept, by consent.")]
    receipt: ReceiptFacts
    previous: Annotated[str, doc("`head` of the row before.")]


@closed
class AuditPage(TypedDict):
    """Rows, the newest first."""

    rows: list[AuditRow]
    next: Annotated[str | None, doc("The `cursor` of the next page; null where this is the last.")]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows: those that have all of what is not None."""

    since: datetime | None = None
    until: datetime | None = None
    event: str | None = None
    caller: str | None = None
    """The owner's name."""
    pipeline: str | None = None
    release: str | None = None
    outcome: str | None = None
    """`ok`, or a problem's code."""
    request_id: str | None = None
    cursor: str | None = None
    """Rows older than the one of this id."""
    covered: frozenset[str] | None = None
    """The pipelines that the reader may see; None is all."""

    def named(self) -> list[str]:
        """Names of what is not None, for the row of a reading: values may be any text."""
        of_the_caller = [each.name for each in fields(self) if each.name != "covered"]
        return [name for name in of_the_caller if getattr(self, name) is not None]

    def clauses(self) -> list[ColumnElement[bool]]:
        """For a query."""
        table = predictions.c
        equal = {
            table.event: self.event,
            table.tenant: self.caller,
            table.pipeline: self.pipeline,
            table.release: self.release,
            table.request_id: self.request_id,
        }
        found = [column == value for column, value in equal.items() if value is not None]
        if self.since is not None:
            found.append(table.at >= microseconds(self.since))
        if self.until is not None:
            found.append(table.at < microseconds(self.until))
        if self.outcome is not None:
            ok = self.outcome == _OK
            found.append(table.refusal.is_(None) if ok else table.refusal == self.outcome)
        if self.cursor is not None:
            found.append(table.id < self.cursor)
        if self.covered is not None:
            found.append(table.pipeline.in_(sorted(self.covered)))
        return found


class AuditReader:
    """Reads the log for callers, and writes that they did."""

    def __init__(self, audit: AuditLog, engine: Engine) -> None:
        """Connects it; `engine` is of the same database."""
        self._audit = audit
        self._engine = engine

    async def row(self, context: RequestContext, prediction_id: str) -> AuditRow:
        """One row: the caller's own, or with the role `audit` any that its pipelines cover.

        Raises:
            RefusedError: `prediction_unknown`, also where it is another one's: who may not see it
                does not learn that it exists; `forbidden` where the pipeline is not covered.
        """
        found = await self._found(context.principal, prediction_id)
        context.pipeline = found["pipeline"]
        said = {"prediction_id": found["id"]}
        await self._audit.write([reading_row(context, Event.AUDIT_READ, said)])
        return audit_row(found)

    async def signed_receipt(self, context: RequestContext, prediction_id: str) -> SignedReceipt:
        """The signed receipt of a row; it says nothing of what is in it.

        Raises:
            RefusedError: as `row`.
        """
        found = await self._found(context.principal, prediction_id)
        receipt = Receipt(found["chain"], found["position"], found["hash"])
        return self._audit.signed(receipt, found["at"])

    async def page(self, context: RequestContext, asked: Filter, limit: int) -> AuditPage:
        """Rows of a filter, the newest first.

        Raises:
            RefusedError: `forbidden` without the role, or for another pipeline.
        """
        asked = await self._begin(context, asked, Event.AUDIT_READ, {"limit": limit})
        rows = await asyncio.to_thread(self._read, asked, limit + 1)
        more = len(rows) > limit
        rows = rows[:limit]
        return {
            "rows": [audit_row(row) for row in rows],
            "next": rows[-1]["id"] if more else None,
        }

    async def export(self, context: RequestContext, asked: Filter) -> AsyncIterator[AuditRow]:
        """All rows of a filter, the newest first, as they are read.

        Raises:
            RefusedError: as `page`; nothing is raised while rows are read.
        """
        asked = await self._begin(context, asked, Event.AUDIT_EXPORT, {})
        return self._rows(asked)

    async def _rows(self, asked: Filter) -> AsyncIterator[AuditRow]:
        while rows := await asyncio.to_thread(self._read, asked, _PAGE):
            for row in rows:
                yield audit_row(row)
            if len(rows) < _PAGE:
                return
            asked = replace(asked, cursor=rows[-1]["id"])

    async def _begin(
        self, context: RequestContext, asked: Filter, event: Event, more: dict[str, Any]
    ) -> Filter:
        principal = context.principal
        principal.require(Role.AUDIT, asked.pipeline)
        said = {"filters": asked.named(), **more}
        await self._audit.write([reading_row(context, event, said)])
        return replace(asked, covered=principal.pipelines)

    async def _found(self, principal: Principal, prediction_id: str) -> RowMapping:
        statement = select(predictions).where(predictions.c.id == prediction_id)
        if not principal.may(Role.AUDIT):
            own = predictions.c.tenant == principal.name
            statement = statement.where(own, predictions.c.event == str(Event.PREDICTION))

        def read() -> RowMapping | None:
            with reading(self._engine).connect() as connection:
                return connection.execute(statement).mappings().first()

        row = await asyncio.to_thread(read)
        if row is None:
            raise RefusedError(
                Code.PREDICTION_UNKNOWN,
                "prediction: you have none of this id. Send the answer's `prediction_id` with the "
                "key that asked.",
            )
        principal.require_covered(row["pipeline"])
        return row

    def _read(self, asked: Filter, limit: int) -> Sequence[RowMapping]:
        statement = (
            select(predictions)
            .where(*asked.clauses())
            .order_by(predictions.c.id.desc())
            .limit(limit)
        )
        with reading(self._engine).connect() as connection:
            return connection.execute(statement).mappings().all()


def audit_row(row: RowMapping) -> AuditRow:
    """A row as answers show it."""
    image: AuditInput | None = None
    if row["input_digest"] is not None:
        image = {
            "digest": row["input_digest"],
            "bytes": row["input_bytes"],
            "format": row["input_format"],
        }
    return {
        "prediction_id": row["id"],
        "event": row["event"],
        "at": moment(row["at"]).isoformat(timespec="microseconds"),
        "caller": {
            "id": row["principal_id"],
            "kind": row["principal_kind"],
            "credential": row["credential"],
            "name": row["tenant"],
        },
        "request_id": row["request_id"],
        "transport": row["transport"],
        "route": row["route"],
        "pipeline": row["pipeline"],
        "release": row["release"],
        "release_sha256": row["release_sha256"],
        "input": image,
        "parameters": json.loads(row["parameters"]),
        "result": _parsed(row["result"]),
        "refusal": row["refusal"],
        "stages": json.loads(row["stages"]),
        "compute": _parsed(row["compute"]),
        "compute_seconds": row["compute_seconds"],
        "kept": row["kept"],
        "receipt": {"chain": row["chain"], "position": row["position"], "head": row["hash"]},
        "previous": row["previous"],
    }


def _parsed(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    found: dict[str, Any] = json.loads(text)
    return found
