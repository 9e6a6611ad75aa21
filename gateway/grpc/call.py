"""One call over gRPC, and what is done around every one of them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc

from gateway.core.deadline import Deadline
from gateway.errors import Code, RefusedError, grpc_status_of
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.record import record, unexpected
from gateway.telemetry.request_context import HEADER, Exchange, request_id

Context = Any
"""grpc.aio.ServicerContext, which has no types."""

_KEY = "x-api-key"
_REQUEST_ID = HEADER.decode("ascii")
_SLOW = "request: it came too slowly. Send a smaller one, or over a faster line."


@dataclass(frozen=True, slots=True)
class Call:
    """What a method gets to answer."""

    context: Context
    metadata: Mapping[str, str | bytes]
    exchange: Exchange

    @property
    def key(self) -> str | None:
        """The API key that came along."""
        key = self.metadata.get(_KEY)
        return key if isinstance(key, str) else None

    def deadline(self, seconds: float) -> Deadline:
        """So many seconds ahead, or the caller's own deadline where that is earlier."""
        own = self.context.time_remaining()
        return Deadline.after(seconds if own is None else min(seconds, own))

    async def message(self, deadline: Deadline) -> bytes:
        """Reads what was sent.

        Raises:
            RefusedError: it did not come in time, or gRPC did not take it in.
        """
        async with deadline.enforce(_SLOW):
            sent = await self.context.read()
        if sent is grpc.aio.EOF:
            raise RefusedError(
                Code.BODY_TOO_LARGE, "request: it is too large, or there is none. Send a smaller."
            )
        message: bytes = sent
        return message


Answer = Callable[[Call], Awaitable[bytes]]
"""A method: takes a call, gives a serialised message or raises `RefusedError`."""


def handler(answer: Answer, metrics: Metrics) -> grpc.RpcMethodHandler:
    """A method as gRPC takes it.

    It gets bytes and gives bytes, and reads its message itself: whoever may not ask is turned away
    before a large one is taken in. On the wire a stream of one message is a single message.
    """

    async def behaviour(_: object, context: Context) -> bytes:
        metadata = dict(context.invocation_metadata())
        sent = metadata.get(_REQUEST_ID)
        exchange = Exchange(request_id(sent if isinstance(sent, str) else None), route="grpc")
        context.set_trailing_metadata(((_REQUEST_ID, exchange.request_id),))
        try:
            answered = await _answered(answer, Call(context, metadata, exchange))
        except asyncio.CancelledError:
            # The caller left, its deadline passed, or the server's patience at its end.
            exchange.gone = True
            record(exchange, metrics, "CANCELLED")
            raise
        if isinstance(answered, bytes):
            record(exchange, metrics, "OK")
            return answered
        exchange.code = answered.code
        status = grpc_status_of(answered.code)
        record(exchange, metrics, status)
        trailing = _trailing(answered, exchange.request_id)
        await context.abort(grpc.StatusCode[status], _told(answered, exchange), trailing)
        raise AssertionError("abort raises")

    return grpc.stream_unary_rpc_method_handler(behaviour)


async def _answered(answer: Answer, call: Call) -> bytes | RefusedError:
    try:
        return await answer(call)
    except RefusedError as refusal:
        return refusal
    except Exception as error:  # noqa: BLE001 - nothing passes here
        return unexpected(error, call.exchange)


def _trailing(refusal: RefusedError, name: str) -> tuple[tuple[str, str], ...]:
    if refusal.retry_after is None:
        return ((_REQUEST_ID, name),)
    return (_REQUEST_ID, name), ("retry-after", str(refusal.retry_after))


def _told(refusal: RefusedError, exchange: Exchange) -> str:
    """The code in brackets, then the detail; what is to be reported has the id to report."""
    text = f"[{refusal.code}] {refusal.detail}"
    return f"{text} request_id: {exchange.request_id}" if "request_id" in text else text
