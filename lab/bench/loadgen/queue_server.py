"""`python -m lab.bench.loadgen.queue_server PORT MILLISECONDS`: a server of known behaviour.

It has one queue, and takes so long for each request: with random arrivals (M/D/1) its latencies
follow from the arrivals alone.
"""

import asyncio
import json
import sys

import httptools

ANSWER = {"probabilities": {"no": 0.25, "yes": 0.75}}


class Queue(asyncio.Protocol):
    """One connection; all of them share the queue."""

    work = 0.0
    """Seconds of a request."""
    free_at = 0.0
    """On the event loop's clock: when the last request that came will be done."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Called by the parser: a request has come."""
        loop = asyncio.get_running_loop()
        Queue.free_at = max(loop.time(), Queue.free_at) + Queue.work
        loop.call_at(Queue.free_at, self._answer)

    def _answer(self) -> None:
        body = json.dumps(ANSWER).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        if not self._transport.is_closing():
            self._transport.write(head + body)


async def main(port: int, milliseconds: float) -> None:
    """Serves until it is ended."""
    Queue.work = milliseconds / 1000
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Queue, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
