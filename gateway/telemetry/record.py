"""What is kept of a request, whatever the transport: its counters and its log line."""

import structlog

from gateway.errors import Code, RefusedError
from gateway.exception_location import where
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.request_context import Exchange

log = structlog.get_logger("gateway")


def record(exchange: Exchange, metrics: Metrics, status: int | str | None) -> None:
    """Counts and logs a request that is over; a quiet one leaves no trace.

    Args:
        exchange: what is known about it.
        metrics: where it is counted.
        status: the transport's; None where no answer was begun.
    """
    if exchange.quiet:
        return
    total = exchange.elapsed()
    metrics.requests.labels(exchange.pipeline, exchange.route, exchange.outcome).inc()
    if exchange.prediction:
        metrics.request_seconds.labels(exchange.pipeline).observe(total)
        for stage in ("receive", "render"):
            if stage in exchange.seconds:
                seconds = exchange.seconds[stage]
                metrics.stage_seconds.labels(exchange.pipeline, stage).observe(seconds)
    log.info(
        "request",
        request_id=exchange.request_id,
        route=exchange.route,
        pipeline=exchange.pipeline,
        status=status,
        outcome=exchange.outcome,
        total_ms=round(total * 1000, 1),
        **{f"{name}_ms": round(value * 1000, 1) for name, value in exchange.seconds.items()},
        **exchange.facts,
    )


def unexpected(error: BaseException, exchange: Exchange) -> RefusedError:
    """Logs what should never have happened; returns what its caller is told."""
    log.error(
        "unexpected",
        request_id=exchange.request_id,
        error=type(error).__name__,
        where=where(error),
    )
    return RefusedError(
        Code.INTERNAL, "request: the service failed. Report the request_id to its operator."
    )
