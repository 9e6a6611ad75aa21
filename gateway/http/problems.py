"""Problem documents as responses: what every error looks like to a caller, whatever the route."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from gateway.errors import RETRY_AFTER_SECONDS, Code, RefusedError, problem, status_of
from gateway.telemetry.request_context import exchange_of

MEDIA_TYPE = "application/problem+json"
_BY_STATUS = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED}


def problem_response(
    request: Request,
    code: Code,
    detail: str,
    more: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document as a response; notes its code in the request's record."""
    exchange = exchange_of(request.scope)
    exchange.code = code
    sent = dict(headers or {})
    if code in RETRY_AFTER_SECONDS:
        sent.setdefault("Retry-After", str(RETRY_AFTER_SECONDS[code]))
    if code is Code.UNAUTHORIZED:
        sent["WWW-Authenticate"] = "X-API-Key"
    if code is Code.DEADLINE:
        # The rest of a body that came too slowly is not waited for.
        sent["Connection"] = "close"
    document = problem(code, detail) | {"request_id": exchange.request_id} | dict(more or {})
    return JSONResponse(document, status_of(code), sent, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Makes a problem document of every error that a route or the framework raises."""
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(RequestValidationError, _validation)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - registered for this class
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return problem_response(request, error.code, error.detail, headers=headers)


async def _framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    code = _BY_STATUS.get(error.status_code, Code.MALFORMED_BODY)
    detail = {
        Code.NOT_FOUND: "path: there is no such route; /docs lists them.",
        Code.METHOD_NOT_ALLOWED: "method: this route does not take it; /docs says which it takes.",
    }.get(code, "request: it cannot be read. Send it again.")
    return problem_response(request, code, detail, headers=error.headers)


async def _validation(request: Request, _: Exception) -> Response:
    return problem_response(
        request, Code.PARAMETER_INVALID, "request: a parameter has a wrong form; see /docs."
    )
