"""Requests as bytes on a socket, and a small application that says which requests it read."""

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import uvicorn

HOST = b"Host: 127.0.0.1\r\n"
BODY = b"b" * 5000
LAST = b"GET /last HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
"""Behind it the server closes the connection: all answers have come."""
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def post(*headers: bytes, body: bytes = BODY, target: bytes = b"/first") -> bytes:
    """A request with the given header lines."""
    lines = b"".join(line + b"\r\n" for line in headers)
    return b"POST " + target + b" HTTP/1.1\r\n" + HOST + lines + b"\r\n" + body


def java(body: bytes = BODY) -> bytes:
    """What Java's HttpClient sends at its defaults."""
    return (
        b"POST /first HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Content-Length: %d\r\nHost: 127.0.0.1:8080\r\n"
        b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAABgAGAAA\r\n"
        b"Upgrade: h2c\r\nUser-Agent: Java-http-client/17.0.15\r\nContent-Type: image/jpeg\r\n\r\n"
        % len(body)
    ) + body


@dataclass
class Echo:
    """An ASGI application: reads a request to its end, notes it and answers its digest."""

    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Method, path and body of each request that was read whole."""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Those of the last one."""

    async def __call__(self, scope, receive, send) -> None:
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.headers = scope["headers"]
        self.seen.append((scope["method"], scope["path"], bytes(body)))
        answer = hashlib.sha256(body).hexdigest().encode()
        length = str(len(answer)).encode()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", length), (b"content-type", b"text/plain")],
            }
        )
        await send({"type": "http.response.body", "body": answer})


@contextlib.contextmanager
def serving(app, **config) -> Iterator[tuple[str, int]]:
    """Serves an application in a thread; gives the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = uvicorn.Config(app, lifespan="off", log_config=None, ws="none", **config)
        server = uvicorn.Server(made)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        address = listener.getsockname()
        while not server.started:
            time.sleep(0.005)
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()


def exchange(address: tuple[str, int], *sends: bytes) -> bytes:
    """Sends bytes, each after a short while, and reads until the server closes."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, data in enumerate(sends):
            if number:
                # A new segment, which the server reads by itself.
                time.sleep(0.05)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(data)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                received += data
    return received


def statuses(answer: bytes) -> list[int]:
    """The statuses of the answers in what came back; not of 100 Continue."""
    parts = answer.split(b"HTTP/1.1 ")[1:]
    return [int(part[:3]) for part in parts if not part.startswith(b"100")]
