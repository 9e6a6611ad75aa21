"""Around every request: its id, its log line, its counters, and a clean end of what goes wrong."""

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import CallerGoneError, Code
from gateway.http.problems import problem_response
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.record import record, unexpected
from gateway.telemetry.request_context import HEADER, Exchange, begin


class ExchangeMiddleware:
    """The outermost layer that knows requests."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request; raises nothing."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = begin(scope)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = (HEADER, exchange.request_id.encode("ascii"))
                message["headers"] = [*message.get("headers", ()), own]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except CallerGoneError:
            exchange.gone = True
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - nothing passes here
            code, detail = _ended_by(error, exchange)
            if not status:
                response = problem_response(Request(scope), code, detail)
                await response(scope, receive, send_with_id)
        finally:
            record(exchange, self._metrics, status or None)


def _ended_by(error: BaseException, exchange: Exchange) -> tuple[Code, str]:
    if isinstance(error, asyncio.CancelledError):
        # The server's patience with requests in flight ended: it is shutting down.
        return Code.UNAVAILABLE, "request: the service is stopping. Send it again."
    failure = unexpected(error, exchange)
    return failure.code, failure.detail
