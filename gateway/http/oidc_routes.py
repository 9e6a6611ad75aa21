"""The page's login at an OpenID Connect issuer: the way there, the way back, and that there is one.

The way there and back is for browsers, which leave the page for it: what goes wrong is said by the
page, which gets a word for it in its address.
"""

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from typing_extensions import TypedDict

from gateway.errors import Code, RefusedError
from gateway.http.access import SESSION
from gateway.http.openapi import problems
from gateway.identity.code_flow import CodeFlow, LoginError, LoginFailure, Pending
from gateway.identity.sessions import LOGIN_SECONDS, Sessions
from gateway.results.shapes import closed, doc

LOGIN = "second-opinion-login"
"""Name of the cookie of a login that has begun."""
_PREFIX = "/api/v1/session"
_LARGEST_COOKIE = 3800
"""Characters: browsers drop longer cookies, of 4096 with name and attributes, without a word."""
_CODES = {
    LoginFailure.UNAVAILABLE: Code.UNAVAILABLE,
    LoginFailure.NO_ROLE: Code.FORBIDDEN,
    LoginFailure.TOO_MANY: Code.FORBIDDEN,
}
"""Of others it is `unauthorized`."""
_LANDING = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=../../../../{fragment}">
<title>Second Opinion</title>
</head>
<body><p><a href="../../../../{fragment}">Second Opinion</a></p></body>
</html>
"""
"""A page of our own: a browser sends a SameSite=Strict cookie only to where our pages lead it, and
a redirect would be the issuer's."""


@closed
class LoginWays(TypedDict):
    """How callers of the page log in, besides by an API key."""

    oidc: Annotated[bool, doc("Whether at an OpenID Connect issuer: at `session/oidc`.")]
    logout: Annotated[
        str | None, doc("Where the issuer's own session ends; null where it is not configured.")
    ]


def oidc_routes(flow: CodeFlow | None, sessions: Sessions | None) -> APIRouter:
    """For those who are not logged in yet.

    Args:
        flow: the login; None where it is not configured.
        sessions: makes cookies; None where nobody logs in.
    """
    router = APIRouter(prefix=_PREFIX, tags=["session"])

    @router.get(
        "/ways",
        operation_id="login_ways",
        responses={**problems(), 200: {"model": LoginWays}},
    )
    async def ways(request: Request) -> Response:
        """How to log in; for the page, before anybody has."""
        request.state.context.quiet = True
        return JSONResponse(
            LoginWays(oidc=flow is not None, logout=flow.logout_url if flow else None)
        )

    if flow is not None and sessions is not None:
        _add(router, flow, sessions)
    return router


def _add(router: APIRouter, flow: CodeFlow, sessions: Sessions) -> None:
    @router.get("/oidc", include_in_schema=False)
    async def begin(request: Request) -> Response:
        request.state.context.route = "session"
        pending = Pending.new()
        response = RedirectResponse(flow.address(pending), 303)
        # Lax: the browser comes back from a page of the issuer.
        response.set_cookie(
            LOGIN,
            sessions.seal_login(pending.as_text()),
            max_age=LOGIN_SECONDS,
            httponly=True,
            samesite="lax",
            secure=flow.secure,
        )
        return response

    @router.get("/oidc/callback", include_in_schema=False)
    async def callback(request: Request) -> Response:
        context = request.state.context
        context.route = "session"
        try:
            principal = await flow.finish(_pending(request, sessions), dict(request.query_params))
            context.principal = principal
            cookie = _cookie(sessions, flow.sealable(principal))
        except LoginError as error:
            code = _CODES.get(error.failure, Code.UNAUTHORIZED)
            detail = f"login: it came to nothing ({error.failure})."
            context.refuse(RefusedError(code, detail, reason="unauthorized"))
            response = _landing(f"#login={error.failure}")
        else:
            response = _landing("")
            response.set_cookie(
                SESSION, cookie, httponly=True, samesite="strict", secure=flow.secure
            )
        # Each state is for one way back.
        response.delete_cookie(LOGIN, httponly=True, samesite="lax", secure=flow.secure)
        return response


def _pending(request: Request, sessions: Sessions) -> Pending:
    cookie = request.cookies.get(LOGIN)
    if cookie is None:
        raise LoginError(LoginFailure.STALE)
    try:
        return Pending.parse(sessions.open_login(cookie))
    except RefusedError:
        raise LoginError(LoginFailure.STALE) from None


def _cookie(sessions: Sessions, account: str) -> str:
    cookie = sessions.seal_account(account)
    if len(cookie) > _LARGEST_COOKIE:
        raise LoginError(LoginFailure.TOO_MANY)
    return cookie


def _landing(fragment: str) -> Response:
    return HTMLResponse(_LANDING.format(fragment=fragment))
