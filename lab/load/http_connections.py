"""HTTP connections for an open loop: one for each request in flight."""

import asyncio
from typing import Self
from urllib.parse import urlsplit

from lab.load.http import Answer, Connection, HttpClient

_IDLE_SECONDS = 3.0
"""Shorter than the gateway keeps an idle connection: none is used just as it is closed."""


class HttpConnections:
    """As many connections as there are requests under way; idle ones are used again."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        lines = [f"Host: {parts.netloc}", *(f"{name}: {value}" for name, value in headers.items())]
        self._headers = "\r\n".join(lines)
        self._idle: list[tuple[Connection, float]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections that are idle."""
        for connection, _since in self._idle:
            connection.close()

    def post(self, path: str, content_type: str, data: bytes) -> bytes:
        """A request as it goes over the wire; made once, sent often."""
        head = (
            f"POST {path} HTTP/1.1\r\n{self._headers}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        return head.encode("latin-1") + data

    def get(self, path: str) -> bytes:
        """A request without a body."""
        return f"GET {path} HTTP/1.1\r\n{self._headers}\r\n\r\n".encode("latin-1")

    async def send(self, request: bytes) -> Answer:
        """Sends a request and reads its answer, whatever its status.

        Raises:
            RequestError: there is none, or it is no HTTP.
        """
        connection = await self._connection()
        try:
            answer = await connection.send(request)
        except BaseException:
            connection.close()
            raise
        if not connection.lost:
            self._idle.append((connection, asyncio.get_running_loop().time()))
        return answer

    async def _connection(self) -> Connection:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection, since = self._idle.pop()
            if not connection.lost and now - since < _IDLE_SECONDS:
                return connection
            connection.close()
        return await Connection.open(self._host, self._port)


class PooledHttpClient(HttpClient):
    """As `HttpClient`, with any number of workers: each request takes a connection that is idle."""

    async def open(self, workers: int) -> None:
        """Connects only when a request is sent; see `Client`."""
        self._pool = HttpConnections(f"http://127.0.0.1:{self._port}", {})

    async def close(self) -> None:
        """Ends the connections."""
        self._pool.close()

    async def _send(self, worker: int, request: bytes) -> Answer:
        return await self._pool.send(request)
