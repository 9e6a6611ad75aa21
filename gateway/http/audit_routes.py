"""The routes of the audit log: one's own predictions, and all rows for who has the role `audit`."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from gateway.audit import fhir
from gateway.audit.reading import AuditPage, AuditReader, AuditRow, Filter
from gateway.audit.rows import Event
from gateway.http.access import Access
from gateway.http.openapi import problems
from gateway.results.shapes import SignedReceiptFacts, adapter
from gateway.telemetry.recorder import RequestContext

_ID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_JSON, _LINES, _FHIR = "application/json", "application/jsonl", "application/fhir+json"


class AuditFormat(StrEnum):
    """The forms in which the log is answered."""

    JSON = "json"
    JSONL = "jsonl"
    FHIR = "fhir"


class AuditQuery(BaseModel):
    """What a request asks for; an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid")

    since: datetime | None = Field(default=None, alias="from", description="ISO 8601; else UTC.")
    until: datetime | None = Field(default=None, alias="to", description="Its rows not included.")
    event: Event | None = None
    caller: str | None = Field(default=None, description="The owner's name.")
    pipeline: str | None = None
    release: str | None = None
    outcome: str | None = Field(default=None, description="`ok`, or a problem's code.")
    request_id: str | None = None
    limit: int = Field(default=100, ge=1, le=1000, description="Rows of a page.")
    cursor: str | None = Field(default=None, pattern=_ID, description="`next` of the page before.")
    format: AuditFormat = Field(
        default=AuditFormat.JSON,
        description="`jsonl`: all rows, one a line, without pages; `fhir`: a page as a Bundle of "
        "AuditEvent (FHIR R4).",
    )

    def filter(self) -> Filter:
        """Which rows are asked for."""
        values = self.model_dump(exclude={"limit", "format"})
        return Filter(**values)


def audit_routes(reader: AuditReader, access: Access) -> APIRouter:
    """Each answer but a receipt is a row of the log itself."""
    router = APIRouter(prefix="/api/v1", tags=["audit"], dependencies=[Depends(access)])
    one = problems(401, 403, 404, 503)

    @router.get(
        "/predictions/{prediction_id}",
        operation_id="get_prediction",
        responses={**one, 200: {"model": AuditRow}},
    )
    async def prediction(request: Request, prediction_id: str) -> Response:
        """What was answered: the row of one prediction of the caller's own.

        With the role `audit` of any that the caller's pipelines cover.
        """
        context = _context(request, "prediction")
        row = await reader.row(context, prediction_id)
        return Response(adapter(AuditRow).dump_json(row), media_type=_JSON)

    @router.get(
        "/predictions/{prediction_id}/receipt",
        operation_id="get_receipt",
        responses={**one, 200: {"model": SignedReceiptFacts}},
    )
    async def receipt(request: Request, prediction_id: str) -> Response:
        """The receipt of a prediction, signed."""
        context = _context(request, "receipt")
        found = await reader.signed_receipt(context, prediction_id)
        return Response(adapter(SignedReceiptFacts).dump_json(found.as_json()), media_type=_JSON)

    @router.get(
        "/audit",
        operation_id="audit",
        responses={
            **problems(401, 403, 422, 503),
            200: {"model": AuditPage, "content": {_LINES: {}, _FHIR: {}}},
        },
    )
    async def audit(request: Request, asked: Annotated[AuditQuery, Query()]) -> Response:
        """The rows of the audit log that the caller's pipelines cover, the newest first."""
        context = _context(request, "audit")
        if asked.format is AuditFormat.JSONL:
            rows = await reader.export(context, asked.filter())
            return StreamingResponse(_lines(rows), media_type=_LINES)
        page = await reader.page(context, asked.filter(), asked.limit)
        if asked.format is AuditFormat.FHIR:
            found = fhir.bundle(page["rows"], _next(request, page["next"]))
            return Response(json.dumps(found), media_type=_FHIR)
        return Response(adapter(AuditPage).dump_json(page), media_type=_JSON)

    return router


def _context(request: Request, route: str) -> RequestContext:
    context = cast("RequestContext", request.state.context)
    context.route = route
    return context


async def _lines(rows: AsyncIterator[AuditRow]) -> AsyncIterator[bytes]:
    async for row in rows:
        yield json.dumps(row, separators=(",", ":")).encode() + b"\n"


def _next(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    query: dict[str, Any] = {**request.query_params, "cursor": cursor}
    return f"{request.url.path}?{urlencode(query)}"
