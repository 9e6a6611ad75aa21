"""HTTP/1.1 over TLS: a connection has its place and its time from the first byte of its handshake.

The servers of asyncio and uvloop tell nobody of a connection before its handshake is over: as many
could wait there as there are file descriptors. Here asyncio's TLS layer is what the server makes
for a connection; it is let in, or hung up on, before its handshake begins.
"""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from typing import Any

from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from gateway.errors import Code
from gateway.http.connection import Connection
from gateway.http.connection_limits import TLS_HANDSHAKE, ConnectionLimits
from gateway.tls import ServerTls

_READ_BYTES = 32 * 1024
"""Each connection holds a buffer of this size; asyncio's own are of 256 KiB."""
_SHUTDOWN_SECONDS = 3600
"""How long asyncio may send what is left behind a close; `due` ends a caller who does not read."""


class _Decrypted(Connection):
    """Reads requests from a TLS layer."""

    tcp: asyncio.Transport
    _extensions: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins once the handshake is over; the TLS layer has let the caller in."""
        self._extensions = {"tls": _described(transport.get_extra_info("ssl_object"))}
        self.begin(transport)

    def on_message_begin(self) -> None:
        """Begins a request, which knows of the caller's certificate."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

    def unsent(self) -> int:
        """Bytes of answers, also encrypted, that the caller's machine has not taken."""
        return super().unsent() + self.tcp.get_write_buffer_size()


class TlsConnection(SSLProtocol):
    """The TLS layer of one connection."""

    max_size = _READ_BYTES
    _begun = False
    """Whether the caller was let in to a handshake."""

    def __init__(
        self,
        *,
        limits: ConnectionLimits,
        tls: ServerTls,
        server_state: ServerState,
        **more: Any,  # noqa: ANN401
    ) -> None:
        """Takes the limits of all connections, what the server shows, and uvicorn's arguments."""
        self._inner = _Decrypted(limits=limits, server_state=server_state, **more)
        self._limits = limits
        self._connections: set[Any] = server_state.connections
        super().__init__(
            self._inner.loop,
            self._inner,
            tls.served.context,
            waiter=None,  # type: ignore[arg-type]
            server_side=True,
            ssl_handshake_timeout=limits.head_seconds,  # type: ignore[arg-type]
            ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
        )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins the handshake, or hangs up where too many connections are open."""
        self._inner.tcp = transport
        address = get_remote_addr(transport)
        if not self._limits.admit(self._inner, address[0] if address else ""):
            self._limits.count_refusal(Code.TOO_MANY_CONNECTIONS)
            transport.abort()
            return
        self._begun = True
        self._connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Makes room for another where no request was read: else the inner connection does."""
        self._connections.discard(self)
        super().connection_lost(exc)
        if self._inner.transport is None:
            self._limits.release(self._inner)
            if self._begun:
                slow = isinstance(exc, ConnectionAbortedError)
                self._limits.count_refusal(Code.TOO_SLOW if slow else TLS_HANDSHAKE)

    def shutdown(self) -> None:
        """The server stops: ends a handshake; the inner connection is told by itself."""
        if self._inner.transport is None:
            self._inner.tcp.abort()


def _described(connection: ssl.SSLObject) -> dict[str, Any]:
    """The extension `tls` of ASGI, as far as it is about the caller."""
    certificate = connection.getpeercert(binary_form=True)
    chain = [ssl.DER_cert_to_PEM_cert(certificate)] if certificate else []
    return {"client_cert_chain": chain}
