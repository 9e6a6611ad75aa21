"""Requests with an Idempotency-Key, on SQLite and on a real PostgreSQL behind the gateway."""

import asyncio
from collections import Counter

import grpc
import httpx
import pytest
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from database.chain import Receipt
from database.engine import open_engine
from database.outages import DatabaseUnavailableError
from database.tables import idempotency, predictions
from database.writer import Writer
from gateway import replays
from gateway.app import create_app
from gateway.secret_files import SecretFiles
from gateway.settings import Settings
from pipelines.load import load_spec
from pipelines.ports import Ports
from tests.unit.gateway.asking import requests, until_ready
from tests.unit.gateway.http.test_cancel_on_disconnect import serve  # noqa: F401 - a fixture
from tests.unit.gateway.http.test_kserve import INFER, binary, document
from tests.unit.gateway.samples import FULL, JPEG, PNG, RAW, UNAVAILABLE, assert_problem, files
from tests.unit.gateway.toy_triton import Failure

pytestmark = pytest.mark.anyio
PREDICT = "/api/v1/predict"
KEYED = {**RAW, "idempotency-key": "11112222-3333"}
UNDECODABLE = Failure(grpc.StatusCode.INVALID_ARGUMENT, "[image_undecodable] It is cut. Send it.")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """Those that talk to it: a gateway, by its setting, and a test, by its engine."""
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    folder = tmp_path / "secrets"
    SecretFiles(folder, made=True).make()
    engine = open_engine(url)
    yield {"database_url": url, "secrets_dir": folder}, engine
    engine.dispose()


@pytest.fixture
async def client(start, sqlite_url):
    client = await start(database_url=sqlite_url)
    await until_ready(client)
    client.engine = open_engine(sqlite_url)
    yield client
    client.engine.dispose()


def rows(engine):
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(predictions))


def refusals(url):
    engine = open_engine(url)
    with engine.connect() as connection:
        found = connection.scalars(select(predictions.c.refusal).order_by(predictions.c.position))
        codes = list(found)
    engine.dispose()
    return codes


def stored(engine):
    with engine.connect() as connection:
        return connection.execute(select(idempotency)).all()


def assert_replayed(again, first):
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers


@pytest.mark.parametrize(
    "path", [PREDICT, f"{PREDICT}/advanced", "/predict", "/api/v1/pipelines/oral_cancer/predict"]
)
async def test_a_request_that_is_sent_again_gets_the_same_answer(client, triton, path):
    first = await client.post(path, content=JPEG, headers=KEYED)
    assert first.status_code == 200, first.text
    with capture_logs() as lines:
        again = await client.post(path, content=JPEG, headers=KEYED)
    assert_replayed(again, first)
    assert again.headers["x-request-id"] != first.json()["request_id"]
    assert len(triton.seen) == 1
    assert rows(client.engine) == 1
    (line,) = requests(lines)
    assert (line["outcome"], line["replayed"]) == ("ok", True)


async def test_without_a_key_each_request_is_answered_by_itself(client, triton):
    for _ in range(2):
        assert (await client.post(PREDICT, content=JPEG, headers=RAW)).status_code == 200
    assert len(triton.seen) == 2
    assert rows(client.engine) == 2
    assert stored(client.engine) == []


async def test_a_form_has_other_boundaries_each_time_and_is_the_same_request(client, triton):
    key = {"idempotency-key": '"a form"'}
    first = await client.post(PREDICT, files={"file": ("a.jpg", JPEG)}, headers=key)
    again = await client.post(PREDICT, files={"file": ("a.jpg", JPEG)}, headers=key)
    assert_replayed(again, first)


@pytest.mark.parametrize(
    ("path", "content"),
    [(PREDICT, PNG), (f"{PREDICT}?threshold=0.4", JPEG), (f"{PREDICT}?member=vgg16", JPEG)],
)
async def test_a_key_with_another_image_or_parameters_is_refused(client, triton, path, content):
    assert (await client.post(PREDICT, content=JPEG, headers=KEYED)).status_code == 200
    other = await client.post(path, content=content, headers=KEYED)
    assert_problem(other, 422, "idempotency_mismatch")
    assert len(triton.seen) == 1


async def test_a_key_of_another_route_or_pipeline_is_another_key(client, triton):
    first = await client.post(PREDICT, content=JPEG, headers=KEYED)
    other = await client.post(f"{PREDICT}/advanced", content=PNG, headers=KEYED)
    assert (first.status_code, other.status_code) == (200, 200)


@pytest.mark.parametrize("key", ["", "x" * 256, "\x01"])
async def test_a_key_that_is_none_is_refused(client, triton, key):
    response = await client.post(PREDICT, content=JPEG, headers={**RAW, "idempotency-key": key})
    assert_problem(response, 422, "parameter_invalid")
    assert triton.seen == []


async def test_a_request_in_flight_is_a_conflict_and_then_an_answer(client, triton):
    done = triton.hold()
    first = asyncio.create_task(client.post(PREDICT, content=JPEG, headers=KEYED))
    while not triton.now:  # noqa: ASYNC110 - gRPC sets no event
        await asyncio.sleep(0.01)
    meanwhile = await client.post(PREDICT, content=JPEG, headers=KEYED)
    assert_problem(meanwhile, 409, "idempotency_in_flight")
    assert meanwhile.headers["retry-after"] == "1"
    other = await client.post(PREDICT, content=PNG, headers=KEYED)
    assert_problem(other, 422, "idempotency_mismatch")
    done.set()
    again = await client.post(PREDICT, content=JPEG, headers=KEYED)
    while again.status_code == 409:
        again = await client.post(PREDICT, content=JPEG, headers=KEYED)
    assert_replayed(again, await first)


async def patiently(client, statuses):
    """Asks as a client does that waits where it is told to."""
    while True:
        response = await client.post(PREDICT, content=JPEG, headers=KEYED)
        statuses[response.status_code] += 1
        if response.status_code not in {409, 429, 503}:
            return response
        assert response.headers["retry-after"]
        await asyncio.sleep(0.05)


async def test_a_hundred_at_a_time_are_one_inference_one_row_and_equal_answers(
    start, triton, database
):
    settings, engine = database
    clients = [await start(**settings, max_in_flight=200) for _ in range(3)]
    for client in clients:
        await until_ready(client)
    triton.seen.clear()

    async def slowly(*_):
        await asyncio.sleep(0.1)

    triton.rules.append(slowly)
    statuses = Counter()
    answers = await asyncio.gather(*(patiently(clients[n % 3], statuses) for n in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 99
    assert statuses[409] >= 1
    assert len(triton.seen) == 1
    assert rows(engine) == 1


async def test_the_answer_outlives_the_gateway(start, triton, database):
    settings, engine = database
    before = await start(**settings)
    await until_ready(before)
    first = await before.post(PREDICT, content=JPEG, headers=KEYED)
    assert first.status_code == 200
    after = await start(**settings, settled=False)
    await until_ready(after)
    triton.seen.clear()
    assert_replayed(await after.post(PREDICT, content=JPEG, headers=KEYED), first)
    assert triton.seen == []
    assert rows(engine) == 1


@pytest.mark.parametrize("failures", [[FULL], [UNAVAILABLE] * 2])
async def test_a_refusal_that_a_retry_may_cure_is_not_stored(client, triton, failures):
    triton.failures.extend(failures)
    refused = await client.post(PREDICT, content=JPEG, headers=KEYED)
    assert refused.status_code in {429, 503}
    assert stored(client.engine) == []
    response = await client.post(PREDICT, content=JPEG, headers=KEYED)
    assert response.status_code == 200
    assert "idempotency-replayed" not in response.headers


async def test_an_answer_whose_rows_are_not_written_frees_its_key(client, triton, monkeypatch):
    async def fail(self, rows, then=None):
        with self._engine.begin() as connection:
            then(connection, [Receipt(self.chain, 1, "0" * 64)] * len(rows))
            connection.rollback()
        raise DatabaseUnavailableError

    with monkeypatch.context() as broken:
        broken.setattr(Writer, "write_all", fail)
        refused = await client.post(PREDICT, content=JPEG, headers=KEYED)
    assert_problem(refused, 503, "unavailable")
    assert stored(client.engine) == []
    assert (await client.post(PREDICT, content=JPEG, headers=KEYED)).status_code == 200
    assert rows(client.engine) == 1


async def test_a_refusal_of_the_image_is_stored(client, triton):
    triton.failures.append(UNDECODABLE)
    refused = await client.post(PREDICT, content=JPEG, headers=KEYED)
    assert_problem(refused, 422, "image_undecodable")
    assert_replayed(await client.post(PREDICT, content=JPEG, headers=KEYED), refused)
    assert len(triton.seen) == 1
    assert rows(client.engine) == 1


async def test_a_refusal_that_is_sent_again_is_one_row_of_its_caller(
    start, triton, new_key, sqlite_url
):
    client = await start(auth="required")
    await until_ready(client)
    key = {"x-api-key": new_key("ward")}
    triton.failures.append(UNDECODABLE)
    with capture_logs() as lines:
        first = await client.post(PREDICT, content=JPEG, headers=KEYED | key)
        again = await client.post(PREDICT, content=JPEG, headers=KEYED | key)
    assert_problem(first, 422, "image_undecodable")
    assert_replayed(again, first)
    assert [line["outcome"] for line in requests(lines)] == ["image_undecodable"] * 2
    # Rows of refusals are written after the answer: one that is known to come is the last.
    await client.post(PREDICT, content=JPEG, headers={**RAW, **key, "idempotency-key": "x" * 256})
    async with asyncio.timeout(10):
        while len(found := refusals(sqlite_url)) < 2:  # noqa: ASYNC110 - nobody waits for them
            await asyncio.sleep(0.05)
    assert found == ["image_undecodable", "parameter_invalid"]


async def test_a_gateway_that_stops_frees_the_keys_of_those_who_left(
    triton, monkeypatch, sqlite_url
):
    monkeypatch.setattr(replays, "_DRAIN_SECONDS", 0.1)
    ports = Ports(triton_grpc_port=triton.port)
    app = create_app(Settings(ports=ports, readiness_interval_seconds=60))
    engine = open_engine(sqlite_url)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway") as client,
    ):
        await triton.probed()
        triton.hold()
        asking = asyncio.create_task(client.post(PREDICT, content=JPEG, headers=KEYED))
        while not triton.now:  # noqa: ASYNC110 - gRPC sets no event
            await asyncio.sleep(0.01)
        asking.cancel()
        assert len(stored(engine)) == 1
        await triton.stop()
    assert stored(engine) == []
    assert rows(engine) == 0
    engine.dispose()


async def test_a_batch_is_stored_whole_with_names_that_the_database_does_not_say(client, triton):
    names = [("files", ("Jane Doe.jpg", JPEG)), ("files", ("4711.png", PNG))]
    first = await client.post(f"{PREDICT}/batch", files=names, headers={"idempotency-key": "b"})
    assert first.status_code == 200
    again = await client.post(f"{PREDICT}/batch", files=names, headers={"idempotency-key": "b"})
    assert_replayed(again, first)
    assert "Jane Doe" in again.text
    assert len(triton.seen) == 2
    (row,) = stored(client.engine)
    assert b"Jane" not in b"".join(value for value in row if isinstance(value, bytes))
    other = await client.post(
        f"{PREDICT}/batch", files=files(JPEG, PNG), headers={"idempotency-key": "b"}
    )
    assert_problem(other, 422, "idempotency_mismatch")


async def test_a_batch_without_an_answer_is_stored_unless_a_retry_may_cure_it(client, triton):
    async def ask():
        return await client.post(
            f"{PREDICT}/batch", files=files(b"none", b"nor this"), headers={"idempotency-key": "b"}
        )

    first = await ask()
    assert first.status_code == 415
    assert_replayed(await ask(), first)


async def test_pictures_are_never_stored(serving):
    client = await serving(load_spec("object_detection"))
    for path in (f"{PREDICT}?visualization=true", "/predict"):
        refused = await client.post(path, content=JPEG, headers=KEYED)
        assert_problem(refused, 422, "parameter_invalid")
        assert "visualization=false" in refused.json()["detail"]
    answered = await client.post("/predict?visualization=false", content=JPEG, headers=KEYED)
    assert answered.status_code == 200


async def test_who_leaves_finds_the_answer_when_coming_again(serve, triton, sqlite_url):  # noqa: F811
    port = await serve(database_url=sqlite_url)
    done = triton.hold()
    url = f"http://127.0.0.1:{port}{PREDICT}"
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(url, content=JPEG, headers=KEYED, timeout=0.5)
        meanwhile = await client.post(url, content=JPEG, headers=KEYED)
        assert meanwhile.status_code == 409
        done.set()
        again = await client.post(url, content=JPEG, headers=KEYED)
        while again.status_code == 409:
            again = await client.post(url, content=JPEG, headers=KEYED)
    assert again.status_code == 200
    assert again.headers["idempotency-replayed"] == "true"
    assert len(triton.seen) == 1
    engine = open_engine(sqlite_url)
    assert rows(engine) == 1
    engine.dispose()


async def test_who_leaves_while_the_key_is_claimed_blocks_it_for_nobody(serve, triton, sqlite_url):  # noqa: F811
    port = await serve(database_url=sqlite_url)
    url = f"http://127.0.0.1:{port}{PREDICT}"
    engine = open_engine(sqlite_url)
    async with httpx.AsyncClient() as client:
        # The gateway cannot claim before this is over.
        with engine.begin() as connection:
            connection.execute(update(idempotency).values(expires_at=0))
            with pytest.raises(httpx.ReadTimeout):
                await client.post(url, content=JPEG, headers=KEYED, timeout=0.5)
        again = await client.post(url, content=JPEG, headers=KEYED)
        while again.status_code == 409:
            again = await client.post(url, content=JPEG, headers=KEYED)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert len(triton.seen) == 1
    assert rows(engine) == 1
    engine.dispose()


async def test_a_key_of_a_gateway_that_died_is_free_when_its_claim_ends(client, triton):
    first = await client.post(PREDICT, content=JPEG, headers=KEYED)
    with client.engine.begin() as connection:
        # As one leaves it that is killed before it has the answer.
        connection.execute(update(idempotency).values(answer=None))
    assert_problem(
        await client.post(PREDICT, content=JPEG, headers=KEYED), 409, "idempotency_in_flight"
    )
    with client.engine.begin() as connection:
        connection.execute(update(idempotency).values(expires_at=0))
    again = await client.post(PREDICT, content=JPEG, headers=KEYED)
    assert again.status_code == 200
    assert again.content != first.content
    assert rows(client.engine) == 2


@pytest.mark.parametrize("form", ["json", "binary"])
async def test_kserves_protocol_has_keys_too(client, triton, form):
    asked = {"json": document(JPEG, id="mine")} if form == "json" else binary(JPEG, id="mine")
    outputs = [{"name": "confidence", "parameters": {"binary_data": True}}]
    if form == "binary":
        asked = binary(JPEG, id="mine", outputs=outputs)
    headers = {**asked.pop("headers", {}), "idempotency-key": "v2"}
    first = await client.post(INFER, headers=headers, **asked)
    assert first.status_code == 200, first.text
    again = await client.post(INFER, headers=headers, **asked)
    assert_replayed(again, first)
    length = "inference-header-content-length"
    assert again.headers.get(length) == first.headers.get(length)
    assert len(triton.seen) == 1
    other = document(JPEG, id="other")
    refused = await client.post(INFER, json=other, headers={"idempotency-key": "v2"})
    assert refused.status_code == 422
    assert "[idempotency_mismatch]" in refused.json()["error"]


async def test_a_browser_may_send_a_key_and_read_that_it_was_a_replay(start):
    client = await start(cors_origins=["https://clinic.example"])
    origin = {"origin": "https://clinic.example"}
    asked = {"access-control-request-method": "POST", **origin}
    preflight = await client.options(
        PREDICT, headers={**asked, "access-control-request-headers": "idempotency-key"}
    )
    assert preflight.status_code == 200
    exposed = (await client.get("/healthz", headers=origin)).headers
    assert "idempotency-replayed" in exposed["access-control-expose-headers"].lower()
