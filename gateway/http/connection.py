"""One HTTP/1.1 connection: uvicorn's, but strict about where a request begins and ends.

An upgrade (`h2c`, as Java's HttpClient and `curl --http2` offer it) is ignored, as RFC 9110 allows:
httptools would take what follows the head for another protocol, and lose the request's body. What
cannot be read with certainty is refused with 400, and the connection is closed, so that no bytes
are read as a request that nobody sent. Heads, bodies and answers have their times.
"""

import asyncio
import json
from http import HTTPStatus
from math import inf
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import RETRY_AFTER_SECONDS, Code, problem, status_of
from gateway.http.connection_limits import ConnectionLimits
from gateway.http.problems import MEDIA_TYPE, SECURITY_HEADERS
from gateway.telemetry.recorder import HEADER, request_id

HEAD_LIMIT = 32 * 1024
"""Largest request line and header fields together, in bytes; also largest chunk extension and
trailer."""
FIELD_LIMIT = 512
"""Most header fields of a request."""
AHEAD_LIMIT = 16
"""Most requests that may come before the first of them is answered."""
LINGER_SECONDS = 1
"""How long what still comes is dropped after a refusal, so that the caller can read it; also how
long a caller has to end its side of TLS."""


class _RefusedError(Exception):
    """Ends the parser's work on a request that is refused."""


class _AnswerTransport(asyncio.Transport):
    """What answers are written to. It is closed only once the caller has sent what it sends.

    A socket that is closed before all of a body is read is reset, and its caller, who may read
    only once it has sent all, loses the answer.
    """

    def __init__(self, transport: asyncio.Transport, connection: "Connection") -> None:
        super().__init__()
        self._connection = connection
        self._closing = False
        self._close = transport.close
        self._is_closing = transport.is_closing
        self.write = transport.write  # type: ignore[method-assign]
        self._write_eof = transport.write_eof
        self._can_write_eof = transport.can_write_eof
        self.abort = transport.abort  # type: ignore[method-assign]
        self.get_write_buffer_size = transport.get_write_buffer_size  # type: ignore[method-assign]

    def write_eof(self) -> None:
        # Over TLS there is no such end: the caller knows it by the length of the answer.
        if self._can_write_eof():
            self._write_eof()

    def is_closing(self) -> bool:
        return self._closing or self._is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        if self._connection.drops_rest():
            self._closing = True
            self.write_eof()
        else:
            self._connection.due = self._connection.loop.time() + LINGER_SECONDS
            self._close()


class Connection(HttpToolsProtocol):
    """Reads requests, and hands each to the application once its head is complete."""

    due = inf
    """When the caller's time is over, on the event loop's clock; infinite while the caller waits
    for the gateway."""
    _body_due = inf
    """When a body must have ended, whatever its speed."""
    _unsent = inf
    """Bytes of answers that were unsent when the connection was due last."""
    _refusal = (Code.MALFORMED_BODY, "request: it is no valid HTTP/1.1. Send it anew.")
    _ended = False
    """Whether nothing more is read."""
    _in_head = False
    """Whether a request began and its head is not complete."""
    _in_body = False
    """Whether a head is complete and its request is not."""
    _progress = False
    """Whether the bytes that came last completed a head or a body, or were a part of a body."""
    _unused = 0
    """Bytes since the last progress."""

    def __init__(self, *args: Any, limits: ConnectionLimits, **kwargs: Any) -> None:  # noqa: ANN401
        """Takes uvicorn's arguments, and the limits that all connections share."""
        super().__init__(*args, **kwargs)
        self.limits = limits
        self.timeout_keep_alive = limits.idle_seconds  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins, or refuses the caller where too many connections are open."""
        self.begin(transport)
        if not self.limits.admit(self, self.client[0] if self.client else ""):
            detail = (
                "connection: too many are open, in total or from this address. Close some, or "
                "try again after the seconds in Retry-After."
            )
            self._refusal = Code.TOO_MANY_CONNECTIONS, detail
            self._refuse()
            if self.limits.crowded:
                transport.close()

    def begin(self, transport: asyncio.Transport) -> None:
        """Reads requests from here on."""
        super().connection_made(transport)
        self.transport = _AnswerTransport(transport, self)
        self.due = self.loop.time() + self.limits.head_seconds

    def connection_lost(self, exc: Exception | None) -> None:
        """Makes room for another."""
        super().connection_lost(exc)
        self.limits.release(self)

    def data_received(self, data: bytes) -> None:
        """Reads the bytes that came, to their end or until a request is refused."""
        if self._ended:
            if self._in_body:
                self._extend(len(data))
            return
        self._unset_keepalive_if_required()
        self._progress = False
        rest = memoryview(data)
        try:
            while True:
                try:
                    self.parser.feed_data(rest)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    rest = rest[upgrade.args[0] :]
                    self._read_head_without_upgrade()
            self._unused = 0 if self._progress else self._unused + len(data)
            self._check_size(self._unused)
            if self._in_body:
                self._extend(len(data))
        except (httptools.HttpParserError, _RefusedError):
            self._refuse()

    def on_message_begin(self) -> None:
        """Begins a head, which has its own time once the answer before it is sent."""
        super().on_message_begin()
        if len(self.pipeline) >= AHEAD_LIMIT:
            raise _RefusedError
        self._in_head = True
        if not self._answering():
            self.due = self.loop.time() + self.limits.head_seconds

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header field, and drops a trailer, which comes behind a body in chunks."""
        if not self._in_body:
            super().on_header(name, value)
            if len(self.headers) > FIELD_LIMIT:
                self._refuse_head()

    def on_headers_complete(self) -> None:
        """Hands the request to the application, unless its head is refused or read again."""
        self._progress = True
        self._in_head = False
        fields = sum(len(name) + len(value) + 4 for name, value in self.headers)
        self._check_size(len(self.url) + fields)
        names = [name for name, _ in self.headers]
        version, hosts = self.parser.get_http_version(), names.count(b"host")
        if version == "1.1":
            framed = hosts == 1
        else:
            # Chunks came with HTTP/1.1; before it they were another length for each reader.
            framed = version == "1.0" and hosts <= 1 and b"transfer-encoding" not in names
        if not framed or self.parser.get_method() == b"CONNECT":
            raise _RefusedError
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self._in_body = True
            now = self.loop.time()
            self.due = now + self.limits.body_grace_seconds
            self._body_due = now + self.limits.body_seconds

    def on_body(self, body: bytes) -> None:
        """Takes a part of a body."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Ends a request; of an offer to upgrade, httptools ends it before its body."""
        self._progress = True
        if self._in_body:
            super().on_message_complete()
            self._in_body = False
            self._wait()

    def on_response_complete(self) -> None:
        """Starts the next request, or waits for it."""
        super().on_response_complete()
        self._unsent = inf
        if not self._in_body:
            self._wait()

    def pause_writing(self) -> None:
        """The caller does not read what is answered."""
        super().pause_writing()
        if self._answering():
            self.due = self.loop.time() + self.limits.idle_seconds

    def resume_writing(self) -> None:
        """The caller reads on."""
        super().resume_writing()
        self._unsent = inf
        if self._answering() and not self._in_body:
            self.due = inf

    def end(self) -> None:
        """Ends the connection, as its time is over, unless the gateway itself is slow.

        What is sent slowly goes on: less of it must be unsent each time.
        """
        now = self.loop.time()
        unsent = self.unsent()
        if 0 < unsent < self._unsent and not self._ended:
            self._unsent = unsent
            self.due = now + self.limits.idle_seconds
        elif unsent or self._ended or self.transport.is_closing():
            self.transport.abort()
        elif self._in_body and self._answering() and self._keeps_caller_waiting():
            self.due = now + self.limits.body_grace_seconds
        elif self._in_head or self._in_body:
            self._refusal = (
                Code.TOO_SLOW,
                "request: it came too slowly. Send a smaller one, or over a faster line.",
            )
            self._refuse()
        else:
            self.transport.close()

    def unsent(self) -> int:
        """Bytes of answers that the caller's machine has not taken."""
        return self.transport.get_write_buffer_size()

    def drops_rest(self) -> bool:
        """Whether some of a body is missing; from then on nothing is read, and all dropped."""
        if self._in_body:
            self._ended = True
            self.flow.resume_reading()
        return self._in_body

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _keeps_caller_waiting(self) -> bool:
        """Whether the body is not being read, or was not asked for."""
        return self.flow.read_paused or self.cycle.waiting_for_100_continue

    def _wait(self) -> None:
        """The next bytes are the gateway's, or those of another request."""
        if self._answering():
            self.due = inf
        elif not self.transport.is_closing():
            seconds = self.limits.head_seconds if self._in_head else self.limits.idle_seconds
            self.due = self.loop.time() + seconds

    def _extend(self, received: int) -> None:
        """Bytes of a body earn time for the next ones."""
        now = self.loop.time()
        self.due = min(
            max(self.due, now) + received / self.limits.body_bytes_per_second,
            now + self.limits.body_grace_seconds,
            self._body_due,
        )

    def _read_head_without_upgrade(self) -> None:
        """A new parser reads the same head without the offer; the body follows."""
        lines = [
            b"%s %s HTTP/%s"
            % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        ]
        for name, value in self.headers:
            if name == b"upgrade":
                continue
            kept = value
            if name == b"connection":
                options = [option.strip() for option in value.split(b",")]
                kept = b", ".join(option for option in options if option.lower() != b"upgrade")
            lines.append(b"%s: %s" % (name, kept))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    def _check_size(self, size: int) -> None:
        if size > HEAD_LIMIT:
            self._refuse_head()

    def _refuse_head(self) -> None:
        detail = (
            f"request: its target and headers have more than {HEAD_LIMIT} bytes or {FIELD_LIMIT} "
            "fields. Send the image in the body, and fewer headers."
        )
        self._refusal = Code.HEAD_TOO_LARGE, detail
        raise _RefusedError

    def _refuse(self) -> None:
        """Ends the connection; with a problem document where it would be the next answer."""
        self._ended = True
        self.limits.count_refusal(self._refusal[0])
        if self._answering() and not self._in_body:
            # The requests before this one are answered first.
            self.cycle.keep_alive = False
            return
        if self._in_body and not self._answering():
            # The request was answered before its body was bad.
            self.transport.close()
            return
        if self._answering():
            started = self.cycle.response_started or self.pipeline
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if started:
                self.transport.close()
                return
        code, detail = self._refusal
        status, name, retry = status_of(code), request_id(None), RETRY_AFTER_SECONDS.get(code)
        document = json.dumps(
            {**problem(code, detail), "request_id": name}, separators=(",", ":")
        ).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(document)}\r\n{HEADER}: {name}\r\nconnection: close\r\n"
            + "".join(f"{field}: {value}\r\n" for field, value in SECURITY_HEADERS.items())
            + (f"retry-after: {retry}\r\n" if retry else "")
            + "\r\n"
        )
        self.transport.write(head.encode("ascii") + document)
        self.transport.write_eof()
        self.due = self.loop.time() + LINGER_SECONDS
