"""The dependency of routes that tells who sends a request."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from gateway.errors import RefusedError
from gateway.identity.authentication import Authenticator, Credentials
from gateway.identity.principal import Principal
from gateway.telemetry.recorder import RequestContext

_KEY = APIKeyHeader(name="X-API-Key", auto_error=False)
_BEARER = HTTPBearer(
    auto_error=False, description="A token; or an API key, as Prometheus sends no X-API-Key."
)


class Access:
    """Lets in who has credentials, or everyone where identity is off, and notes who it is."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def __call__(
        self,
        request: Request,
        key: Annotated[str | None, Depends(_KEY)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> None:
        """Checks what X-API-Key has, or else Authorization.

        Raises:
            RefusedError: with `unauthorized`, or `unavailable` where it cannot be told now.
        """
        context: RequestContext = request.state.context
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


def _certificate(request: Request) -> bytes | None:
    """The caller's certificate as PEM, where the connection has one."""
    chain = request.scope.get("extensions", {}).get("tls", {}).get("client_cert_chain")
    return chain[0].encode("ascii") if chain else None
