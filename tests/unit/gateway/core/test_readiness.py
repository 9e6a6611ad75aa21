import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from structlog.testing import capture_logs

from gateway.core import readiness
from gateway.http.service_routes import ReadinessReport
from gateway.results.shapes import adapter
from tests.unit.gateway.samples import JPEG
from tests.unit.gateway.toy_triton import Failure

pytestmark = pytest.mark.anyio

RAW = {"content-type": "image/jpeg"}
DEAD = Failure(grpc.StatusCode.INTERNAL, "Stub process 'p_0_0' is not healthy.")


async def status(client, query=""):
    return (await client.get("/readyz" + query)).status_code


async def becomes(client, wanted):
    for _ in range(100):
        if await status(client) == wanted:
            return True
        await asyncio.sleep(0.02)
    return False


async def test_a_probe_that_is_answered_makes_its_pipeline_ready(start, triton):
    client = await start(settled=False)
    assert await becomes(client, 200)
    answer = (await client.get("/readyz")).json()
    adapter(ReadinessReport).validate_python(answer)
    assert answer == {"ready": True, "pipelines": {"oral_cancer": True}}
    assert await status(client, "?pipeline=oral_cancer") == 200
    assert len(triton.seen) == 1
    assert (await client.get("/healthz")).json() == {"status": "alive"}


async def test_a_dead_process_makes_its_pipeline_unready_until_it_answers(start, triton):
    triton.failures += [DEAD] * 3
    client = await start(settled=False)
    await asyncio.sleep(0.1)
    response = await client.get("/readyz?pipeline=oral_cancer")
    assert response.status_code == 503
    assert response.json()["pipelines"] == {"oral_cancer": False}
    assert (await client.get("/api/v1/pipelines/oral_cancer")).json()["ready"] is False
    triton.failures.clear()
    await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert await status(client) == 200


@pytest.mark.parametrize("message", ["Exceeds maximum queue size", "Request timeout expired"])
async def test_a_busy_pipeline_is_ready(start, triton, message):
    triton.failures.append(Failure(grpc.StatusCode.UNAVAILABLE, message))
    assert await becomes(await start(settled=False), 200)


async def test_a_pipeline_that_never_answered_is_not_ready(start, triton):
    triton.hold()
    with capture_logs() as lines:
        client = await start(settled=False, readiness_interval_seconds=0.1)
        async with asyncio.timeout(10):
            while not (said := [line for line in lines if line["event"] == "readiness"]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert [(line["ready"], line["code"]) for line in said] == [(False, "deadline")]
    assert await status(client) == 503


async def test_a_late_probe_leaves_a_pipeline_that_answered_ready(start, triton):
    client = await start(readiness_interval_seconds=0.1)
    assert await becomes(client, 200)
    triton.hold()
    already = len(triton.seen)
    async with asyncio.timeout(10):
        # The second one begins when the first is over.
        while len(triton.seen) < already + 2:  # noqa: ASYNC110 - gRPC sets no event
            await asyncio.sleep(0.01)
    assert await status(client) == 200


async def test_traffic_that_meets_a_dead_process_makes_its_pipeline_unready(client, triton):
    assert await becomes(client, 200)
    triton.failures += [DEAD] * 2
    await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert await status(client) == 503


async def test_traffic_with_a_bad_image_says_nothing_about_readiness(client, triton):
    assert await becomes(client, 200)
    await client.post("/api/v1/predict", content=b"text", headers=RAW)
    assert await status(client) == 200


async def test_probes_count_in_no_metric_of_predictions(client):
    assert await becomes(client, 200)
    text = (await client.get("/metrics")).text
    assert "prediction_confidence_count" not in text
    assert "gateway_image_bytes_count 0.0" in text


async def test_without_triton_the_gateway_lives_and_says_that_it_is_not_ready(start, triton):
    triton.port = 1
    client = await start(settled=False)
    assert (await client.get("/healthz")).status_code == 200
    assert await status(client) == 503
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert (await client.get("/api/v1/pipelines")).status_code == 503


@pytest.fixture
def server_page():
    """The server's `/readyz`; says 503 until `ready` is set."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.server.ready.is_set() else 503)
            self.end_headers()

        def log_message(self, *_):
            pass

    page = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    page.ready = threading.Event()
    page.url = f"http://127.0.0.1:{page.server_port}/readyz"
    threading.Thread(target=page.serve_forever, daemon=True).start()
    yield page
    page.shutdown()
    page.server_close()


async def test_at_the_start_all_that_the_server_is_to_serve_is_waited_for(start, server_page):
    settings = {"readiness_interval_seconds": 0.1, "server_readiness_url": server_page.url}
    client = await start(**settings)
    assert await becomes_one(client)
    assert await status(client) == 503
    server_page.ready.set()
    assert await becomes(client, 200)
    # Later the server loads others, while it goes on with these.
    server_page.ready.clear()
    await asyncio.sleep(0.3)
    assert await status(client) == 200


async def becomes_one(client):
    for _ in range(100):
        if await status(client, "?pipeline=oral_cancer") == 200:
            return True
        await asyncio.sleep(0.02)
    return False


async def test_a_pipeline_that_answers_nobody_for_long_is_not_ready(start, triton, monkeypatch):
    monkeypatch.setattr(readiness, "_SILENT_SECONDS", 1.0)
    client = await start(readiness_interval_seconds=0.1)
    assert await becomes(client, 200)
    held = triton.hold()
    async with asyncio.timeout(10):
        while await status(client) == 200:  # noqa: ASYNC110 - time passes
            await asyncio.sleep(0.05)
    held.set()
    triton.rules.clear()
    assert await becomes(client, 200)
