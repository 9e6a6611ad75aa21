"""HTTP/1.1 without comforts, so that the generator leaves the cores to the service."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit

from loadtest.bodies import Body

_IDLE_SECONDS = 3.0
"""Shorter than the gateway keeps an idle connection: none is used just as it is closed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, `Retry-After` and body."""

    status: int
    retry_after: str | None
    body: bytes


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float


class Caller:
    """Keeps connections alive; as many as there are requests under way."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        lines = [f"Host: {parts.netloc}", *(f"{name}: {value}" for name, value in headers.items())]
        self._headers = "\r\n".join(lines)
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._idle:
            connection.writer.close()

    def post(self, path: str, body: Body) -> bytes:
        """A request as it goes over the wire; made once, sent often."""
        head = (
            f"POST {path} HTTP/1.1\r\n{self._headers}\r\nContent-Type: {body.content_type}\r\n"
            f"Content-Length: {len(body.data)}\r\n\r\n"
        )
        return head.encode("latin-1") + body.data

    def get(self, path: str) -> bytes:
        """A request without a body."""
        return f"GET {path} HTTP/1.1\r\n{self._headers}\r\n\r\n".encode("latin-1")

    async def send(self, request: bytes) -> Answer:
        """Sends a request and reads its answer.

        Raises:
            OSError, EOFError, ValueError: there is none, or it is no HTTP.
        """
        connection = await self._connection()
        try:
            # The answer may come before the body is wholly sent; the rest is sent all the same.
            connection.writer.write(request)
            answer, again = await _read(connection.reader)
        except BaseException:
            connection.writer.close()
            raise
        if again:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.writer.close()
        return answer

    async def _connection(self) -> _Connection:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if now - connection.idle_since < _IDLE_SECONDS:
                return connection
            connection.writer.close()
        reader, writer = await asyncio.open_connection(self._host, self._port)
        return _Connection(reader, writer, now)


async def _read(reader: asyncio.StreamReader) -> tuple[Answer, bool]:
    """The answer, and whether the connection may be used again."""
    status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    pairs = (line.split(":", 1) for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "")))
    status = HTTPStatus(int(status_line.split(" ", 2)[1]))
    again = headers.get("connection", "").lower() != "close"
    return Answer(status, headers.get("retry-after"), body), again
