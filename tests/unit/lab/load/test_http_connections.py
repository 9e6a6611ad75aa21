"""The generator's HTTP: connections are kept, and a bad answer is an error."""

import asyncio

import pytest

from lab.load.client import RequestError
from lab.load.http_connections import HttpConnections

BODY = b"x" * 100_000


def talk(answers, requests=2):
    """Serves each connection with these raw answers, one a request; gives what was said."""

    async def run():
        connections = 0

        async def serve(reader, writer):
            nonlocal connections
            connections += 1
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    assert b"x-api-key: secret" in head
                    await reader.readexactly(len(BODY))
                    writer.write(answers.pop(0))
                    if not writer.is_closing() and not answers:
                        break
            except asyncio.IncompleteReadError:
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with HttpConnections(f"http://127.0.0.1:{port}", {"x-api-key": "secret"}) as kept:
                request = kept.post("/predict", "image/jpeg", BODY)
                said = [await kept.send(request) for _ in range(requests)]
        return said, connections

    return asyncio.run(run())


def test_a_connection_is_used_again_and_an_answer_read_to_its_end():
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    busy = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\ncontent-length: 0\r\n\r\n"
    (first, second), connections = talk([ok, busy])
    assert (first.status, first.body, first.retry_after) == (200, b"ok", None)
    assert (second.status, second.body, second.retry_after) == (429, b"", "1")
    assert connections == 1


def test_a_connection_that_the_server_closes_is_not_used_again():
    last = b"HTTP/1.1 504 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    (first, second), connections = talk([last, last])
    assert (first.status, second.status, connections) == (504, 504, 2)


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"",
    ],
)
def test_an_answer_that_is_none_is_an_error(answer):
    with pytest.raises(RequestError):
        talk([answer], requests=1)
