import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx
import pytest

from lab.images.upload import HeldUpload

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def serve(listener, held, answer):
    """Reads one request, tells when all but its last byte has come, and answers."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as stream:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += stream.readline()
        body = stream.read(4)
        held.set()
        body += stream.read(1)
        connection.sendall(answer)
    return head, body


@pytest.mark.parametrize(("answer", "status"), [(ANSWER, 200), (b"", None)])
def test_the_last_byte_is_held_back_until_it_is_asked_for(answer, status):
    held = Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
        listener.settimeout(10)
        request = pool.submit(serve, listener, held, answer)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with (
            httpx.Client(base_url=url, headers={"X-API-Key": "secret"}) as client,
            HeldUpload(client, "/api/v1/predict", b"photo") as upload,
        ):
            assert held.wait(10)
            assert not request.done()
            assert upload.finish() == status
        head, body = request.result(10)
    assert head.startswith(b"POST /api/v1/predict HTTP/1.1\r\n")
    assert b"x-api-key: secret" in head.lower()
    assert b"content-length: 5" in head.lower()
    assert body == b"photo"
