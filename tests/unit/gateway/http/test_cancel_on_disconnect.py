"""Over a real socket: what happens when the caller goes away, and when the server stops."""

import asyncio

import httpx
import pytest
import uvicorn

from gateway.app import create_app
from gateway.settings import Settings
from pipelines.ports import Ports
from tests.unit.gateway.samples import JPEG

pytestmark = pytest.mark.anyio
REQUEST = (
    b"POST /api/v1/predict HTTP/1.1\r\nHost: gateway\r\nContent-Type: image/jpeg\r\n"
    b"Content-Length: %d\r\n\r\n" % len(JPEG)
)


@pytest.fixture
async def serve(triton):
    started = []

    async def server(**settings):
        ports = Ports(triton_grpc_port=triton.port)
        app = create_app(Settings(ports=ports, readiness_interval_seconds=60, **settings))
        config = uvicorn.Config(app, port=0, http="httptools", ws="none", log_config=None)
        server = uvicorn.Server(config)
        started.append((server, asyncio.create_task(server.serve())))
        while not server.started:  # noqa: ASYNC110 - uvicorn sets no event
            await asyncio.sleep(0.01)
        await triton.probed()
        return server.servers[0].sockets[0].getsockname()[1]

    yield server
    for server, task in started:
        server.should_exit = True
        await task


async def forever(image, _parameters):
    if image == JPEG:
        await asyncio.sleep(3600)


async def in_flight(port):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        text = (await client.get("/metrics")).text
    held = [line for line in text.splitlines() if line.startswith("gateway_requests_in_flight{")]
    return [float(line.rpartition(" ")[2]) for line in held]


@pytest.mark.parametrize("sent", [REQUEST + JPEG, REQUEST + JPEG[:5]])
async def test_a_caller_who_hangs_up_frees_the_place(serve, triton, sent):
    triton.rules.append(forever)
    port = await serve()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await asyncio.sleep(0.2)
    # A place is taken by an image that has come, not by one that is promised.
    assert await in_flight(port) == [float(sent.endswith(JPEG))]
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.2)
    assert await in_flight(port) == [0.0]
    # What Triton was asked, it goes on with: cancelling may crash it.
    assert triton.now == int(sent.endswith(JPEG))
    assert triton.cancelled == 0
    triton.rules.clear()


async def test_bodies_that_do_not_come_refuse_nobody(serve):
    port = await serve(max_in_flight=4, max_in_flight_bytes=5000, batch_bytes=1000)
    writers = []
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST + JPEG[:5])
        writers.append(writer)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        headers = {"content-type": "image/jpeg"}
        response = await client.post("/api/v1/predict", content=JPEG, headers=headers)
        assert response.status_code == 200
    for writer in writers:
        writer.close()


async def test_a_refused_upload_leaves_the_connection_usable(serve):
    port = await serve()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        headers = {"content-type": "image/jpeg"}
        large = JPEG + bytes(11_000_000)
        response = await client.post("/api/v1/predict", content=large, headers=headers)
        assert response.status_code == 413
        response = await client.post("/api/v1/predict", content=JPEG, headers=headers)
        assert response.status_code == 200
