"""A load client for HTTP/1.1 with persistent connections and prepared requests."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast

import httptools

from lab.load.client import RequestError
from lab.load.numbers import of_detections

_BOUNDARY = "bench-5f1c0a7e"
_OK = 200
_REFUSED = {429, 503}
"""Too many requests, and a service that has no room or is not there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, `Retry-After` and body."""

    status: int
    retry_after: str | None
    body: bytes


def upload(
    path: str,
    photos: Sequence[bytes],
    field: str = "file",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A whole request: a multipart form with photos in one field; `headers` are further ones."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n".encode()
        + photo
        + b"\r\n"
        for photo in photos
    ]
    body = b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n{more}"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[Answer] | None = None
        self._retry_after: str | None = None
        self.lost = False

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        """Connects.

        Raises:
            RequestError: nobody listens.
        """
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(cls, host, port)
        except OSError as error:
            raise RequestError(f"nobody listens on port {port}: {error}") from None
        return connection

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

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if not self._parser.should_keep_alive():
            self.close()
        if self._waiting is not None and not self._waiting.done():
            status = self._parser.get_status_code()
            self._waiting.set_result(Answer(status, self._retry_after, b"".join(self._parts)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self.lost = True
        self._fail(f"the connection was closed ({exc or 'by the server'})")

    async def send(self, request: bytes) -> Answer:
        """Sends a request and waits for its answer, whatever its status.

        Raises:
            RequestError: the connection was lost, or the answer is no HTTP.
        """
        self._waiting = asyncio.get_running_loop().create_future()
        # A parser of its own for each answer: one that was fed an error is of no more use.
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._retry_after = None
        # The answer may come before the body is wholly sent; the rest is sent all the same.
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """Ends the connection."""
        self.lost = True
        self._transport.close()

    def _fail(self, reason: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(RequestError(reason))


class HttpClient:
    """One kept connection for each worker; the answers are JSON.

    With `probabilities` by class, or with `predictions` of a detector and the size of the `image`.
    """

    def __init__(self, port: int, requests: Sequence[bytes], classes: Sequence[str] = ()) -> None:
        """Takes whole requests, one a photo, and the classes in the pipeline's order."""
        self._port, self._requests, self._classes = port, requests, classes

    async def open(self, workers: int) -> None:
        """Connects; see `Client`."""
        self._connections = [await self._connect() for _ in range(workers)]

    async def close(self) -> None:
        """Ends the connections."""
        for connection in self._connections:
            connection.close()

    async def ask(self, worker: int, photo: int) -> bytes:
        """Asks on the worker's connection, made anew where the server ended it."""
        answer = await self._send(worker, self._requests[photo])
        if answer.status != _OK:
            text = answer.body[:200].decode(errors="replace")
            refused = answer.status in _REFUSED
            raise RequestError(f"status {answer.status}: {text}", refused=refused)
        return answer.body

    def probabilities(self, answer: bytes) -> list[float]:
        """Of the JSON; see `Client`."""
        found = json.loads(answer)
        # A server that batches may answer with the batch's part: a list of one.
        facts = found[0] if isinstance(found, list) else found
        if "predictions" in facts:
            each, size = facts["predictions"], facts["image"]
            scores, boxes = [one["score"] for one in each], [one["box"] for one in each]
            return of_detections(scores, boxes, size["width"], size["height"])
        named = facts["probabilities"]
        return [float(named[name]) for name in self._classes]

    async def _send(self, worker: int, request: bytes) -> Answer:
        if self._connections[worker].lost:
            self._connections[worker] = await self._connect()
        return await self._connections[worker].send(request)

    async def _connect(self) -> Connection:
        return await Connection.open("127.0.0.1", self._port)
