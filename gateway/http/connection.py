"""One HTTP/1.1 connection: uvicorn's, but strict about where a request begins and ends.

An upgrade (`h2c`, as Java's HttpClient and `curl --http2` offer it) is ignored, as RFC 9110 allows:
httptools would take what follows the head for another protocol, and lose the request's body. What
cannot be read with certainty is refused with 400, and the connection is closed, so that no bytes
are read as a request that nobody sent.
"""

import json
from http import HTTPStatus

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import Code, problem, status_of
from gateway.http.problems import MEDIA_TYPE
from gateway.telemetry.recorder import HEADER, request_id

HEAD_LIMIT = 32 * 1024
"""Largest request line and header fields together, in bytes; also largest chunk extension and
trailer."""
LINGER_SECONDS = 1
"""How long what still comes is dropped after a refusal, so that the caller can read it."""


class _RefusedError(Exception):
    """Ends the parser's work on a request that is refused."""


class Connection(HttpToolsProtocol):
    """Reads requests, and hands each to the application once its head is complete."""

    _refusal = (Code.MALFORMED_BODY, "request: it is no valid HTTP/1.1. Send it anew.")
    _ended = False
    """Whether nothing more is read."""
    _in_body = False
    """Whether a head is complete and its request is not."""
    _progress = False
    """Whether the bytes that came last completed a head or a body, or were a part of a body."""
    _unused = 0
    """Bytes since the last progress."""

    def data_received(self, data: bytes) -> None:
        """Reads the bytes that came, to their end or until a request is refused."""
        if self._ended:
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
        except (httptools.HttpParserError, _RefusedError):
            self._refuse()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header field, and drops a trailer, which comes behind a body in chunks."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hands the request to the application, unless its head is refused or read again."""
        self._progress = True
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
            detail = (
                f"request: its target and headers have more than {HEAD_LIMIT} bytes together. "
                "Send the image in the body, and fewer headers."
            )
            self._refusal = Code.HEAD_TOO_LARGE, detail
            raise _RefusedError

    def _refuse(self) -> None:
        """Ends the connection; with a problem document where it would be the next answer."""
        self._ended = True
        self.logger.warning("Invalid HTTP request received.")
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and not self._in_body:
            # The requests before this one are answered first.
            self.cycle.keep_alive = False
            return
        if answering:
            started = self.cycle.response_started or self.pipeline
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if started:
                self.transport.close()
                return
        code, detail = self._refusal
        status, name = status_of(code), request_id(None)
        document = json.dumps(
            {**problem(code, detail), "request_id": name}, separators=(",", ":")
        ).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(document)}\r\n{HEADER}: {name}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + document)
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
