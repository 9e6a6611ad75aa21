"""Error responses over HTTP: problem documents (RFC 9457), and errors of KServe's protocol."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from gateway.errors import Code, RefusedError, problem, status_of
from gateway.telemetry.recorder import RequestContext

MEDIA_TYPE = "application/problem+json"
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""On every answer: browsers guess no content type, pass no address on, keep no answer, and load
nothing for it. /docs says itself what it loads."""
KSERVE = "/v2"
"""Path of KServe's protocol, which has errors of its own form: one text, with the code in it."""
_FRAMEWORK = {
    404: (Code.NOT_FOUND, "path: there is no such route; /docs lists them."),
    405: (
        Code.METHOD_NOT_ALLOWED,
        "method: this route does not take it; /docs says which it takes.",
    ),
}
"""Refusals by the status of an error that the framework raises."""
_UNREADABLE = (Code.MALFORMED_BODY, "request: it cannot be read. Send it again.")


def problem_response(
    request: Request,
    refusal: RefusedError,
    more: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A refusal as a response, which is noted in the context; `more` is added to its document."""
    context: RequestContext = request.state.context
    context.refuse(refusal)
    sent = dict(headers or {})
    if refusal.retry_after:
        sent["Retry-After"] = str(refusal.retry_after)
    if refusal.code is Code.UNAUTHORIZED:
        sent["WWW-Authenticate"] = "X-API-Key, Bearer"
    if refusal.code is Code.DEADLINE:
        # The rest of a body that came too slowly is not waited for.
        sent["Connection"] = "close"
    if request.url.path.startswith(f"{KSERVE}/") or request.url.path == KSERVE:
        error = {"error": refusal.message(context.request_id)}
        return JSONResponse(error, status_of(refusal.code), sent)
    document = {
        **problem(refusal.code, refusal.detail),
        "request_id": context.request_id,
        **(more or {}),
    }
    return JSONResponse(document, status_of(refusal.code), sent, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Makes a problem document of every error that a route or the framework raises."""
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(RequestValidationError, _validation)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - registered for this class
    return problem_response(request, error)


async def _framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    refusal = RefusedError(*_FRAMEWORK.get(error.status_code, _UNREADABLE))
    return problem_response(request, refusal, headers=error.headers)


async def _validation(request: Request, _: Exception) -> Response:
    refusal = RefusedError(
        Code.PARAMETER_INVALID, "request: a parameter has a wrong form; see /docs."
    )
    return problem_response(request, refusal)
