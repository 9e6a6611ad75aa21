"""HTTP/1.1 over connections that are kept: requests made beforehand, answers parsed in C."""

import asyncio
import json
from collections.abc import Sequence
from typing import cast

import httptools

from lab.load.door import AskError

_BOUNDARY = "bench-5f1c0a7e"
_OK = 200


def upload(host: str, path: str, photo: bytes) -> bytes:
    """A whole request: one photo in the multipart field `file`."""
    before = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode()
    body = before + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    return head + body


class Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[bytes] | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"no HTTP: {error}")
            self._transport.close()

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        body, status = b"".join(self._parts), self._parser.get_status_code()
        if not self._parser.should_keep_alive():
            self.lost = True
            self._transport.close()
        if status != _OK:
            self._fail(f"status {status}: {body[:200].decode(errors='replace')}")
        elif self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self.lost = True
        self._fail(f"the connection was closed ({exc or 'by the server'})")

    async def ask(self, request: bytes) -> bytes:
        """Sends a request; the answer's body.

        Raises:
            AskError: another status than 200, or the connection was lost.
        """
        self._waiting = asyncio.get_running_loop().create_future()
        # A parser of its own for each answer: one that was fed an error is of no more use.
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """Ends the connection."""
        self._transport.close()

    def _fail(self, reason: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(AskError(reason))


class HttpDoor:
    """One kept connection for each worker; the answers are JSON with `probabilities` by class."""

    def __init__(
        self, port: int, path: str, classes: Sequence[str], photos: Sequence[bytes]
    ) -> None:
        self._port, self._classes = port, classes
        self._requests = [upload(f"127.0.0.1:{port}", path, photo) for photo in photos]

    async def open(self, workers: int) -> None:
        """Connects; see `Door`."""
        self._connections = [await self._connect() for _ in range(workers)]

    async def close(self) -> None:
        """Ends the connections."""
        for connection in self._connections:
            connection.close()

    async def ask(self, worker: int, photo: int) -> bytes:
        """Asks on the worker's connection, made anew where the server ended it."""
        if self._connections[worker].lost:
            self._connections[worker] = await self._connect()
        return await self._connections[worker].ask(self._requests[photo])

    def probabilities(self, answer: bytes) -> list[float]:
        """Of the JSON's `probabilities`; see `Door`."""
        found = json.loads(answer)
        # A server that batches may answer with the batch's part: a list of one.
        named = (found[0] if isinstance(found, list) else found)["probabilities"]
        return [float(named[name]) for name in self._classes]

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(Connection, "127.0.0.1", self._port)
        except OSError as error:
            raise AskError(f"nobody listens on port {self._port}: {error}") from None
        return connection
