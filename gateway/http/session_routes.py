"""The login of the page: an API key once, then a cookie that its scripts cannot read."""

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from gateway.errors import Code, RefusedError
from gateway.http.access import SESSION, Access, principal_of
from gateway.http.body import Body
from gateway.http.openapi import problems
from gateway.identity.authentication import Authenticator, Credentials
from gateway.identity.principal import Kind, Principal, Role
from gateway.results.shapes import closed, doc

_LONGEST = 16 * 1024
"""Bytes of a login's body."""
_JSON = "application/json"


@closed
class Session(TypedDict):
    """Who asks, and what they may do."""

    name: str
    kind: Annotated[Kind, doc("`open` where identity is off: everyone may do everything.")]
    roles: list[Role]
    pipelines: Annotated[list[str] | None, doc("Those that the roles cover; null is all.")]
    csrf_token: Annotated[
        str | None,
        doc("To be sent as X-CSRF-Token with every change by this cookie; null without one."),
    ]


def session_routes(authenticator: Authenticator, access: Access) -> APIRouter:
    """Log in, look who is logged in, log out."""
    sessions = access.sessions
    router = APIRouter(prefix="/api/v1/session", tags=["session"])
    body = {
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {
                    "schema": {
                        "type": "object",
                        "required": ["key"],
                        "properties": {"key": {"type": "string"}},
                    }
                }
            },
        }
    }

    @router.post(
        "",
        operation_id="log_in",
        openapi_extra=body,
        responses={**problems(401, 413, 415, 422), 200: {"model": Session}},
    )
    async def log_in(request: Request) -> Response:
        """Takes an API key and answers with a cookie that stands for it."""
        request.state.context.route = "session"
        # Pages of other origins cannot send JSON without being let in (CORS).
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise RefusedError(
                Code.CONTENT_TYPE_UNSUPPORTED, "content-type: send the key as application/json."
            )
        data = await Body.of_any_type(request, _LONGEST).data()
        key = _key_in(bytes(data))
        principal = await authenticator.authenticate(Credentials(api_key=key))
        request.state.context.principal = principal
        if sessions is None:
            return JSONResponse(_facts(principal, None))
        cookie = sessions.seal(key)
        response = JSONResponse(_facts(principal, sessions.token(cookie)))
        response.set_cookie(
            SESSION,
            cookie,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    @router.get(
        "",
        operation_id="get_session",
        dependencies=[Depends(access)],
        responses={**problems(401), 200: {"model": Session}},
    )
    async def who(request: Request) -> Response:
        """Who asks, by a cookie or by any other credentials."""
        request.state.context.route = "session"
        cookie = request.cookies.get(SESSION)
        token = sessions.token(cookie) if sessions and cookie else None
        return JSONResponse(_facts(principal_of(request), token))

    @router.delete(
        "",
        operation_id="log_out",
        dependencies=[Depends(access)],
        status_code=204,
        responses=problems(401, 403),
    )
    async def log_out(request: Request) -> Response:
        """Takes the cookie back."""
        request.state.context.route = "session"
        response = Response(status_code=204)
        response.delete_cookie(SESSION, httponly=True, samesite="strict")
        return response

    return router


def _facts(principal: Principal, token: str | None) -> Session:
    pipelines = None if principal.pipelines is None else sorted(principal.pipelines)
    return {
        "name": principal.name,
        "kind": principal.kind,
        "roles": sorted(principal.roles),
        "pipelines": pipelines,
        "csrf_token": token,
    }


def _key_in(data: bytes) -> str:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    key = document.get("key") if isinstance(document, dict) else None
    if not isinstance(key, str) or not key:
        raise RefusedError(
            Code.FIELD_MISSING, 'key: missing. Send {"key": "..."}, as the operator gave it.'
        )
    return key
