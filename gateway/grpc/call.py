"""One gRPC call: its context, its record, and how a refusal becomes a gRPC status."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import grpc

from gateway.audit.idempotency import HEADER as KEY
from gateway.audit.idempotency import REPLAYED
from gateway.core.inflation import Inflation
from gateway.core.request import Deadline
from gateway.errors import Code, RefusedError, grpc_status_of
from gateway.grpc.reception import Reception
from gateway.identity.authentication import Credentials
from gateway.telemetry.recorder import HEADER, InferenceTelemetry, RequestContext, request_id

Context = Any
"""grpc.aio.ServicerContext, which has no types."""

_KEY, _AUTHORIZATION = "x-api-key", "authorization"
_CERTIFICATE = "x509_pem_cert"
"""In gRPC's words, the caller's certificate."""
_BEARER = re.compile(r"[Bb]earer +(\S+)")
_GZIP = b"\x1f\x8b"
"""Begins a message in gzip. No message of protobuf begins so."""
_PIECES = 16
"""Pieces that are inflated before others have their turn: one MiB."""
_SLOW = "request: it came too slowly. Send a smaller one, or over a faster line."


@dataclass(frozen=True, slots=True)
class Call:
    """What a method gets to answer."""

    connection: Context
    metadata: Mapping[str, str | bytes]
    context: RequestContext

    @property
    def credentials(self) -> Credentials:
        """What the call's metadata say of who sends it."""
        key, authorization = self.metadata.get(_KEY), self.metadata.get(_AUTHORIZATION)
        bearer = _BEARER.fullmatch(authorization) if isinstance(authorization, str) else None
        certificates = self.connection.auth_context().get(_CERTIFICATE)
        return Credentials(
            key if isinstance(key, str) else None,
            None if bearer is None else bearer[1],
            certificates[0] if certificates else None,
        )

    @property
    def idempotency_keys(self) -> list[str]:
        """The idempotency keys in the call's metadata."""
        sent = self.connection.invocation_metadata() or ()
        return [value for name, value in sent if name == KEY and isinstance(value, str)]

    def metadata_text(self, name: str) -> str | None:
        """The value of a header in the metadata; None where there is none, "" where it is bytes."""
        said = self.metadata.get(name.lower())
        return said if isinstance(said, str) or said is None else ""

    def deadline(self, seconds: float) -> Deadline:
        """So many seconds from now, or the caller's own deadline where that is earlier."""
        own = self.connection.time_remaining()
        return Deadline.after(seconds if own is None else min(seconds, own))

    @asynccontextmanager
    async def message(self, reception: Reception, deadline: Deadline) -> AsyncIterator[bytes]:
        """Reads the request's message, inflated where it is compressed.

        What runs inside has the turn of the reception, which ends when the message is dropped or
        counted.

        Raises:
            RefusedError: it did not come in time, is too large, or there is no turn for it.
        """
        holder, peer = self.context.share_holder, self.connection.peer()
        async with reception.turn(holder, peer, deadline) as limit:
            async with deadline.within(reception.seconds).enforce(_SLOW):
                message = await self.connection.read()
            if message is grpc.aio.EOF:
                raise _too_large()
            if message.startswith(_GZIP):
                message = await _inflated(message, limit)
            yield message


def opened(connection: Context) -> Call:
    """A call that begins, with a context of its own."""
    metadata = dict(connection.invocation_metadata())
    sent = metadata.get(HEADER)
    context = RequestContext(
        request_id(sent if isinstance(sent, str) else None),
        route="grpc",
        transport="grpc",
        address=_address(connection.peer()),
    )
    return Call(connection, metadata, context)


def _address(peer: str) -> str:
    """The network address of a peer as gRPC names it, e.g. `ipv6:%5B::1%5D:50000`."""
    return unquote(peer.partition(":")[2].rpartition(":")[0]).strip("[]")


def _too_large() -> RefusedError:
    return RefusedError(
        Code.BODY_TOO_LARGE, "request: it is too large, or empty. Send a smaller one."
    )


async def _inflated(message: bytes, limit: int) -> bytes:
    inflation = Inflation("request")
    inflated = bytearray()
    for number, piece in enumerate(inflation.feed(message), start=1):
        inflated += piece
        if len(inflated) > limit:
            raise _too_large()
        if number % _PIECES == 0:
            await asyncio.sleep(0)
    inflation.close()
    return bytes(inflated)


Answer = Callable[[Call], Awaitable[bytes]]
"""A method: takes a call, returns a serialised message or raises `RefusedError`."""


def handler(answer: Answer, telemetry: InferenceTelemetry) -> grpc.RpcMethodHandler:
    """A method as gRPC takes it.

    It reads its message itself: a caller that may not ask is refused before a large message is
    received. On the wire a stream of one message is a single message.
    """

    async def behaviour(_: object, connection: Context) -> bytes:
        call = opened(connection)
        context = call.context
        telemetry.begin(context, call.metadata.items())
        connection.set_trailing_metadata(((HEADER, context.request_id),))
        try:
            answered = await answer(call)
        except asyncio.CancelledError:
            # The caller left, its deadline passed, or the time of a shutdown is over.
            context.gone = True
            telemetry.end(context, "CANCELLED")
            raise
        except RefusedError as refusal:
            refused = context.refuse(refusal)
        except Exception as error:  # noqa: BLE001 - nothing passes here
            refused = context.refuse(telemetry.unexpected(error, context))
        else:
            telemetry.end(context, "OK")
            connection.set_trailing_metadata(_trailing(context))
            return answered
        status = grpc_status_of(refused.code)
        telemetry.end(context, status)
        await connection.abort(
            grpc.StatusCode[status], refused.message(context.request_id), _trailing(context)
        )
        raise AssertionError("abort raises")

    return grpc.stream_unary_rpc_method_handler(behaviour)


def _trailing(context: RequestContext) -> tuple[tuple[str, str], ...]:
    trailing = [(HEADER, context.request_id), *context.answer_fields.items()]
    if context.replayed:
        trailing.append((REPLAYED, "true"))
    if context.refusal is not None and context.refusal.retry_after is not None:
        trailing.append(("retry-after", str(context.refusal.retry_after)))
    return tuple(trailing)
