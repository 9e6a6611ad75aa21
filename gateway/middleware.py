"""Around every request: its id, its log line, its counters, and a clean end of what goes wrong."""

import asyncio

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import CallerGoneError, Code
from gateway.exchange import HEADER, Exchange, begin
from gateway.metrics import Metrics
from gateway.problems import problem_response
from gateway.trace import where

log = structlog.get_logger("gateway")


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
            self._finish(exchange, status)

    def _finish(self, exchange: Exchange, status: int) -> None:
        if exchange.quiet:
            return
        total = exchange.elapsed()
        self._metrics.requests.labels(exchange.pipeline, exchange.route, exchange.outcome).inc()
        if exchange.prediction:
            self._metrics.request_seconds.labels(exchange.pipeline).observe(total)
            for stage in ("receive", "render"):
                if stage in exchange.seconds:
                    self._metrics.stage_seconds.labels(exchange.pipeline, stage).observe(
                        exchange.seconds[stage]
                    )
        log.info(
            "request",
            request_id=exchange.request_id,
            route=exchange.route,
            pipeline=exchange.pipeline,
            status=status or None,
            outcome=exchange.outcome,
            total_ms=round(total * 1000, 1),
            **{f"{name}_ms": round(value * 1000, 1) for name, value in exchange.seconds.items()},
            **exchange.facts,
        )


def _ended_by(error: BaseException, exchange: Exchange) -> tuple[Code, str]:
    if isinstance(error, asyncio.CancelledError):
        # The server's patience with requests in flight ended: it is shutting down.
        return Code.UNAVAILABLE, "request: the service is stopping. Send it again."
    log.error(
        "unexpected",
        request_id=exchange.request_id,
        error=type(error).__name__,
        where=where(error),
    )
    return Code.INTERNAL, "request: the service failed. Report the request_id to its operator."
