"""The API key of a request over HTTP."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from gateway.identity.api_keys import ApiKeys

_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
_BEARER = HTTPBearer(auto_error=False, description="For Prometheus, which sends no X-API-Key.")


class RequireKey:
    """A dependency of routes: lets in who has a key, or everyone where none are configured."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    async def __call__(
        self,
        request: Request,
        key: Annotated[str | None, Depends(_HEADER)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> None:
        """Checks the key in X-API-Key, or else in Authorization, and notes whose it is.

        Raises:
            RefusedError: with `unauthorized`.
        """
        if key is None and bearer is not None:
            key = bearer.credentials
        request.state.context.caller = self._keys.caller(key)
