"""An HTTP upload that pauses half-way, so that a request stays in flight."""

import socket
from http.client import HTTPException, HTTPResponse
from typing import Self

import httpx


class HeldUpload:
    """Sends a photo but for its last byte, which `finish` sends."""

    def __init__(self, client: httpx.Client, path: str, photo: bytes) -> None:
        """Asks the server of `client`, with its headers, for a prediction of `photo`."""
        request = client.build_request(
            "POST", path, content=photo, headers={"Content-Type": "application/octet-stream"}
        )
        lines = [f"{name}: {value}" for name, value in request.headers.items()]
        self._head = "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode()
        self._photo = photo
        self._address = (client.base_url.host, client.base_url.port or 80)

    def __enter__(self) -> Self:
        """Connects, and sends all but the last byte."""
        self._socket = socket.create_connection(self._address, timeout=60)
        self._socket.sendall(self._head + self._photo[:-1])
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def finish(self) -> int | None:
        """Sends the last byte; gives the status of the answer, None where none comes."""
        try:
            self._socket.sendall(self._photo[-1:])
            with HTTPResponse(self._socket) as response:
                response.begin()
                response.read()
                return response.status
        except (OSError, HTTPException):
            return None
