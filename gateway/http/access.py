"""The dependency of routes that tells who sends a request."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from gateway.errors import RefusedError
from gateway.identity.authentication import Authenticator, Credentials
from gateway.identity.principal import Principal
from gateway.identity.sessions import ACCOUNT, Sessions
from gateway.telemetry.recorder import RequestContext

_KEY = APIKeyHeader(name="X-API-Key", auto_error=False)
_BEARER = HTTPBearer(
    auto_error=False, description="A token; or an API key, as Prometheus sends no X-API-Key."
)
SESSION = "second-opinion-session"
"""Name of the cookie of a session."""
TOKEN = "X-CSRF-Token"  # noqa: S105 - the name of a header
_READS = {"GET", "HEAD"}
_OTHER_SITES = {"cross-site", "same-site"}
"""What a browser says of a request that another page makes."""


class Access:
    """Lets in who has credentials, or everyone where identity is off, and notes who it is."""

    def __init__(self, authenticator: Authenticator, sessions: Sessions | None = None) -> None:
        """Takes what tells callers, and what opens cookies; None where nobody logs in."""
        self._authenticator = authenticator
        self.sessions = sessions

    async def __call__(
        self,
        request: Request,
        key: Annotated[str | None, Depends(_KEY)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> None:
        """Checks what X-API-Key has, or else Authorization, or else the session of a browser.

        Raises:
            RefusedError: with `unauthorized`, or `unavailable` where it cannot be told now; with
                `forbidden` for a change by a session without its page's token.
        """
        context: RequestContext = request.state.context
        cookie = request.cookies.get(SESSION)
        # Where identity is off nobody logs in, and a cookie may be left of another time.
        if key is None and bearer is None and cookie is not None and self.sessions is not None:
            credentials = _of_session(self.sessions, cookie)
            if request.method not in _READS:
                self.sessions.check_token(cookie, request.headers.get(TOKEN))
        else:
            token = None if bearer is None else bearer.credentials
            credentials = Credentials(key, token, _certificate(request))
        context.principal = await self._authenticator.authenticate(credentials)

    async def check(self, request: Request) -> Principal:
        """The same, within a route that some may ask without credentials; gives who it is.

        Raises:
            RefusedError: with `unauthorized`, or `unavailable` where it cannot be told now.
        """
        await self(request, await _KEY(request), await _BEARER(request))
        return principal_of(request)

    async def known(self, request: Request) -> Principal | None:
        """Who it is; None where it has no credentials that are let in."""
        try:
            return await self.check(request)
        except RefusedError:
            return None


def principal_of(request: Request) -> Principal:
    """Who sends a request, as `Access` has noted it."""
    context: RequestContext = request.state.context
    return context.principal


def _of_session(sessions: Sessions, cookie: str) -> Credentials:
    if cookie.startswith(ACCOUNT):
        return Credentials(account=sessions.open_account(cookie))
    return Credentials(sessions.open(cookie))


def _certificate(request: Request) -> bytes | None:
    """The caller's certificate as PEM, where the connection has one.

    A browser shows it for the pages of other sites, too, which are none of its caller's.
    """
    if request.headers.get("sec-fetch-site") in _OTHER_SITES:
        return None
    chain = request.scope.get("extensions", {}).get("tls", {}).get("client_cert_chain")
    return chain[0].encode("ascii") if chain else None
