"""Rates at both doors: what answers say of them, and what they keep out."""

import asyncio
import struct
import time

import grpc
import pytest
from httpx import AsyncClient
from sqlalchemy import insert
from tritonclient.grpc import service_pb2, service_pb2_grpc

from database.engine import open_engine
from database.tables import usage_hours
from gateway.http.problems import KSERVE
from gateway.identity import budgets
from gateway.identity.budgets import Budget, Budgets
from gateway.identity.key_format import ApiKey
from gateway.identity.key_store import KeyStore
from gateway.identity.principal import Role
from gateway.identity.rate_limits import Rate, RateLimits
from gateway.identity.stored_keys import Grant
from gateway.secret_files import SecretFiles
from gateway.settings import Settings
from tests.unit.gateway.asking import images
from tests.unit.gateway.samples import JPEG

pytestmark = pytest.mark.anyio

ONE = {"file": JPEG}


@pytest.fixture
def rated(monkeypatch):
    """Gives every caller a rate."""

    def with_rate(text):
        monkeypatch.setattr(RateLimits, "rate_of", lambda *_: Rate.parse(text))

    return with_rate


def batch(number):
    return [("files", (f"{n}.jpg", JPEG)) for n in range(number)]


async def test_an_answer_says_what_is_left(client, rated):
    rated("60/min")
    answer = await client.post("/api/v1/predict", files=ONE)
    assert answer.status_code == 200
    assert answer.headers["ratelimit-policy"] == '"images";q=60;w=60'
    assert answer.headers["ratelimit"] == '"images";r=59;t=60'


async def test_without_a_rate_an_answer_says_nothing_of_one(client):
    answer = await client.post("/api/v1/predict", files=ONE)
    assert "ratelimit" not in answer.headers


async def test_who_has_nothing_left_gets_429_and_is_let_in_later(client, rated):
    rated("2/s")
    answers = [await client.post("/api/v1/predict", files=ONE) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    refused = answers[0]
    while refused.status_code == 200:
        # More than once where the machine takes a second for them.
        refused = await client.post("/api/v1/predict", files=ONE)
    assert refused.status_code == 429
    assert refused.json()["code"] == "rate_limited"
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit"] == '"images";r=0;t=1'
    await asyncio.sleep(int(refused.headers["retry-after"]))
    assert (await client.post("/api/v1/predict", files=ONE)).status_code == 200


async def test_a_batch_counts_its_images(client, triton, rated):
    rated("5/min")
    answer = await client.post("/api/v1/predict/batch", files=batch(3))
    assert answer.headers["ratelimit"].startswith('"images";r=2;')
    calls = len(triton.calls)
    refused = await client.post("/api/v1/predict/batch", files=batch(3))
    assert refused.status_code == 429
    assert len(triton.calls) == calls
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert (await client.post("/api/v1/predict/batch", files=batch(2))).status_code == 200


async def test_a_batch_that_is_larger_than_the_rate_is_not_told_to_wait(client, rated):
    rated("5/min")
    never = await client.post("/api/v1/predict/batch", files=batch(6))
    assert never.status_code == 413
    assert never.json()["code"] == "too_many_files"
    assert "retry-after" not in never.headers


async def test_an_explanation_counts_as_the_images_that_the_members_see(client, rated):
    rated("60/min")
    answer = await client.post("/api/v1/predict?explain=true", files=ONE)
    assert answer.status_code == 200
    assert answer.headers["ratelimit"] == '"images";r=5;t=60'
    assert (await client.post("/api/v1/predict?explain=true", files=ONE)).status_code == 429
    assert (
        (await client.post("/api/v1/predict", files=ONE))
        .headers["ratelimit"]
        .startswith('"images";r=4;')
    )


async def test_a_rate_that_never_lets_an_explanation_in_says_so(client, rated):
    rated("54/min")
    never = await client.post("/api/v1/predict?explain=true", files=ONE)
    assert never.status_code == 413
    assert "it counts as 55 images" in never.json()["detail"]


async def test_with_nothing_left_no_body_is_read(client, rated):
    rated("1/min")
    await client.post("/api/v1/predict", files=ONE)

    async def body():
        yield b"--boundary"
        raise AssertionError

    for path in (
        "/api/v1/predict",
        "/api/v1/predict/advanced",
        "/api/v1/predict/batch",
        "/predict",
    ):
        form = {"content-type": "multipart/form-data; boundary=boundary"}
        refused = await client.post(path, content=body(), headers=form)
        assert refused.status_code == 429
    refused = await client.post(f"{KSERVE}/models/oral_cancer/infer", content=body())
    assert refused.status_code == 429
    assert "rate_limited" in refused.json()["error"]
    assert refused.headers["retry-after"]


def infer_request(image):
    tensor = service_pb2.ModelInferRequest.InferInputTensor(
        name="image", datatype="BYTES", shape=(1, 1)
    )
    content = struct.pack("<I", len(image)) + image
    return service_pb2.ModelInferRequest(
        model_name="oral_cancer", inputs=(tensor,), raw_input_contents=(content,)
    )


async def test_over_grpc_the_same_is_said_in_trailing_metadata(open_grpc, rated):
    client = await open_grpc()
    rated("2/min")
    async with grpc.aio.insecure_channel(f"localhost:{client.port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        call = stub.ModelInfer(infer_request(JPEG), timeout=30)
        await call
        trailing = dict(await call.trailing_metadata())
        assert trailing["ratelimit-policy"] == '"images";q=2;w=60'
        assert trailing["ratelimit"] == '"images";r=1;t=60'
        await stub.ModelInfer(infer_request(JPEG), timeout=30)
        refused = stub.ModelInfer(infer_request(JPEG), timeout=30)
        assert (await refused.code()).name == "RESOURCE_EXHAUSTED"
        assert (await refused.details()).startswith("[rate_limited]")
        trailing = dict(await refused.trailing_metadata())
        assert 50 <= int(trailing["retry-after"]) <= 60
        assert trailing["ratelimit"].startswith('"images";r=0;')


async def test_both_doors_count_together(open_grpc, rated):
    client = await open_grpc()
    rated("3/min")
    await client.infer("oral_cancer", images(JPEG))
    answer = await client.http.post("/api/v1/predict", files=ONE)
    assert answer.headers["ratelimit"].startswith('"images";r=1;')


@pytest.mark.parametrize("kind", ["sqlite_url", "postgres_url"])
async def test_three_gateways_answer_one_key_no_more_often_than_its_rate(
    start, rated, request, kind
):
    rated("60/min")
    # No gateway makes them where the database is a server's.
    SecretFiles(Settings().secrets_dir, made=True).make()
    url = request.getfixturevalue(kind)
    clients = [await start(database_url=url, rates="database", settled=False) for _ in range(3)]

    unavailable = 0

    async def ask(client: AsyncClient) -> int:
        nonlocal unavailable
        while (answer := await client.post("/api/v1/predict", files=ONE)).status_code == 503:
            # On a busy machine one waits too long for SQLite's lock; it may have been counted.
            unavailable += 1
        return answer.status_code

    statuses = await asyncio.gather(*(ask(clients[number % 3]) for number in range(120)))
    assert set(statuses) == {200, 429}
    assert 60 - unavailable <= statuses.count(200) <= 60


async def test_a_spent_budget_is_said_at_both_doors_before_a_body_is_read(
    open_grpc, monkeypatch, sqlite_url
):
    monkeypatch.setattr(Budgets, "budget_of", lambda *_: Budget(0.01, "EUR"))
    monkeypatch.setattr(budgets, "_FRESH_SECONDS", -1.0)
    monkeypatch.setattr(budgets, "_STALE_SECONDS", -1.0)
    client = await open_grpc(price_cpu_hour=3600.0)
    first = await client.http.post("/api/v1/predict", files=ONE)
    assert first.status_code == 200
    row = dict.fromkeys(("name", "pipeline", "release", "format", "outcome", "level", "caller"), "")
    sums = {"images": 1, "bytes": 1, "estimated_seconds": 0.0, "gpu_seconds": 0.0}
    engine = open_engine(sqlite_url)
    with engine.begin() as connection:
        hour = int(time.time()) // 3600
        values = {**row, **sums, "cpu_seconds": 5.0, "hour": hour}
        connection.execute(insert(usage_hours).values(values))
    engine.dispose()
    answer = await client.http.post("/api/v1/predict", content=b"not read")
    assert answer.status_code == 429
    assert answer.json()["code"] == "budget_spent"
    assert 0 < int(answer.headers["retry-after"]) <= 31 * 86400
    assert answer.headers["budget-warning"].startswith("spent=")
    async with grpc.aio.insecure_channel(f"localhost:{client.port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        refused = stub.ModelInfer(infer_request(JPEG), timeout=30)
        assert (await refused.code()).name == "RESOURCE_EXHAUSTED"
        assert (await refused.details()).startswith("[budget_spent]")
        trailing = dict(await refused.trailing_metadata())
        assert int(trailing["retry-after"]) > 0
        assert trailing["budget-warning"].startswith("spent=")
    metrics = (await client.http.get("/metrics")).text
    assert 'gateway_budgets{state="spent"} 1.0' in metrics


async def test_a_key_is_kept_to_its_own_rate(start, sqlite_url):
    engine = open_engine(sqlite_url)
    pepper, key = SecretFiles(Settings().secrets_dir, made=True).pepper(), ApiKey.new()
    grant = Grant("clinic", frozenset({Role.PREDICT, Role.OPERATE}), rate="2/day")
    KeyStore(engine).create(grant, pepper, key=key)
    engine.dispose()
    client = await start(auth="required")
    client.headers["x-api-key"] = key.text
    answers = [await client.post("/api/v1/predict", files=ONE) for _ in range(20)]
    assert [answer.status_code for answer in answers] == [200] * 2 + [429] * 18
    assert answers[0].headers["ratelimit-policy"] == '"images";q=2;w=86400'
    assert 'reason="rate"} 18.0' in (await client.get("/metrics")).text
