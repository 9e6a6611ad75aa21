"""Who is let in by an API key."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from gateway.errors import Code, RefusedError
from gateway.identity.api_keys import Keys
from gateway.telemetry.metrics import NO_PIPELINE, Metrics
from gateway.telemetry.request_context import Exchange, exchange_of

_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
_BEARER = HTTPBearer(auto_error=False, description="For Prometheus, which sends no X-API-Key.")


class Access:
    """Lets in who has a key, or everyone where no keys are configured.

    A dependency of routes over HTTP.
    """

    def __init__(self, keys: Keys | None, metrics: Metrics) -> None:
        self._keys = keys
        self._metrics = metrics

    async def __call__(
        self,
        request: Request,
        key: Annotated[str | None, Depends(_HEADER)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> None:
        """Checks the key of a request, as X-API-Key or else as a bearer's, and notes whose it is.

        Raises:
            RefusedError: with `unauthorized`.
        """
        if key is None and bearer is not None:
            key = bearer.credentials
        self.check(key, exchange_of(request.scope))

    def check(self, key: str | None, exchange: Exchange) -> None:
        """Checks a key and notes the caller's name for the log.

        Raises:
            RefusedError: with `unauthorized`.
        """
        if self._keys is None:
            return
        owner = None if key is None else self._keys.owner(key)
        if owner is None:
            self._metrics.refused.labels(NO_PIPELINE, "api_key").inc()
            raise RefusedError(
                Code.UNAUTHORIZED, "X-API-Key: missing or not known. Ask the operator for a key."
            )
        exchange.facts["caller"] = owner
