"""Copies of answered images go to a candidate: what is compared, and what is never touched."""

import asyncio

import grpc
import numpy as np
import pytest

from database import shadow
from database.engine import open_engine
from gateway.core import assignment
from gateway.settings import Settings
from gateway.shadow import traffic
from pipelines import release_changes as changes
from pipelines.protocol import COSTLY, Output
from tests.unit.gateway.asking import images
from tests.unit.gateway.samples import JPEG, PNG, RAW
from tests.unit.gateway.toy_triton import Failure, forever, running
from tests.unit.gateway.two_releases import NEW, OLD, TwoReleases, changes_in_database

pytestmark = pytest.mark.anyio
LABELS = f'pipeline="oral_cancer",release="{NEW}"'
HEALTHY = {
    Output.PROBABILITIES: np.array([0.6, 0.4], np.float32),
    Output.PREDICTION: np.array([0], np.int32),
    Output.CONFIDENCE: np.array([0.6], np.float32),
    Output.ENTROPY: np.array([0.9709506], np.float32),
}
"""The candidate's answer: 0.23 less of cancer than is given, and another decision."""


@pytest.fixture
async def triton():
    async with running(TwoReleases()) as toy:
        yield toy


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(assignment, "_SECONDS", 0.01)
    monkeypatch.setattr(traffic, "_PAUSE_SECONDS", 0.005)
    monkeypatch.setattr(traffic, "_WRITE_SECONDS", 0.05)


@pytest.fixture
def change():
    with changes_in_database() as make:
        make("stage", changes.stage(NEW))
        yield make


@pytest.fixture
async def client(start, change):
    """Of a gateway that has taken note of a candidate that gets a copy of every image."""
    change("shadow", changes.shadow(10_000))
    client = await start(shadow_time_share=1)
    async with asyncio.timeout(30):
        while True:
            listed = (await client.get("/api/v1/releases")).json()["releases"]
            if listed[0]["shadow"] == 10_000 and NEW in listed[0]["loaded"]:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
    return client


async def ask(client, photo=JPEG, path="/api/v1/predict"):
    answer = await client.post(path, content=photo, headers=RAW)
    assert answer.status_code == 200, answer.text
    assert answer.json()["release"] == OLD
    return answer.json()


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - gRPC sets no event
            await asyncio.sleep(0.005)


async def counted(client, **wanted):
    """Waits until so many copies have ended as they are said to; returns the metrics."""
    lines = [
        f'gateway_shadow_images_total{{outcome="{outcome}",{LABELS}}} {count}.0'
        for outcome, count in wanted.items()
    ]
    async with asyncio.timeout(30):
        while True:
            text = (await client.get("/metrics")).text
            if all(line in text for line in lines):
                return text
            await asyncio.sleep(0.01)


async def test_answers_are_compared_and_those_that_are_given_stay_the_current_releases(
    client, triton
):
    triton.staged_altered = HEALTHY
    for number in range(3):
        answer = await ask(client, JPEG + bytes([number]))
        assert answer["prediction"] == "cancer"
        text = await counted(client, compared=number + 1)
    assert triton.copies == [JPEG + bytes([number]) for number in range(3)]
    for line in (
        f'prediction_shadow_differs_total{{{LABELS},what="decision"}} 3.0',
        f'prediction_shadow_differs_total{{{LABELS},what="level"}} 0.0',
        f'prediction_shadow_value_difference_bucket{{le="-0.5",{LABELS}}} 0.0',
        f'prediction_shadow_value_difference_bucket{{le="-0.2",{LABELS}}} 3.0',
        f'prediction_shadow_uncertainty_difference_bucket{{le="0.02",{LABELS}}} 0.0',
        f'prediction_shadow_uncertainty_difference_bucket{{le="0.05",{LABELS}}} 3.0',
        f"gateway_shadow_seconds_count{{{LABELS}}} 3.0",
        'gateway_requests_total{outcome="ok",pipeline="oral_cancer",route="predict"} 3.0',
        f'prediction_images_total{{pipeline="oral_cancer",release="{OLD}"}} 3.0',
    ):
        assert line in text
    # Neither an answer nor a probe of the candidate is counted anywhere else.
    assert f"prediction_images_total{{{LABELS}}}" not in text


async def test_what_was_compared_is_in_the_database_and_no_row_of_the_audit_log(client, triton):
    triton.staged_altered = HEALTHY
    await ask(client)
    await counted(client, compared=1)
    assert await compared(client) == [
        {
            "given": OLD,
            "candidate": NEW,
            "compared": 1,
            "failed": 0,
            "shed": 0,
            "differs": {"decision": 1, "level": 0},
            "value": [{"at_most": -0.2, "count": 1}],
            "uncertainty": [{"at_most": 0.05, "count": 1}],
            "compute_ms": {"given": 62.5, "candidate": 62.5},
        }
    ]
    engine = open_engine(Settings().database_url)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT release FROM predictions WHERE event = 'prediction'"
        ).all()
    engine.dispose()
    assert [row.release for row in rows] == [OLD]


async def compared(client):
    """What the database has, once it has any."""
    async with asyncio.timeout(30):
        while True:
            answer = await client.get("/api/v1/releases/oral_cancer/shadow")
            if found := answer.json()["comparisons"]:
                return found
            await asyncio.sleep(0.01)


async def test_a_candidate_that_fails_is_counted_and_nothing_else_notices(client, triton):
    failures = [
        Failure(grpc.StatusCode.UNAVAILABLE, "Socket closed"),
        Failure(grpc.StatusCode.INTERNAL, "Stub process 'x' is not healthy."),
        Failure(grpc.StatusCode.INVALID_ARGUMENT, "what nobody expects"),
    ]

    async def fails(*_):
        if failures:
            raise failures.pop()

    triton.staged_rules.append(fails)
    for number in range(3):
        await ask(client)
        await counted(client, failed=number + 1)
    # Each is asked once: no copy is worth a second try.
    assert len(triton.copies) == 3
    # Its facts do not allow this number.
    triton.staged_altered = {Output.ENTROPY: np.array([np.nan], np.float32)}
    await ask(client)
    await counted(client, failed=4)
    triton.loaded = False
    await ask(client)
    text = await counted(client, failed=5)
    assert (await client.get("/readyz")).status_code == 200
    assert 'outcome="ok",pipeline="oral_cancer",route="predict"} 5.0' in text
    assert "gateway_requests_refused_total{" not in text


async def test_an_image_that_is_costly_to_decode_is_shed(client, triton):
    async def costly(*_):
        raise Failure(grpc.StatusCode.INVALID_ARGUMENT, COSTLY)

    triton.staged_rules.append(costly)
    await ask(client)
    await counted(client, shed=1)
    # It is not asked again where costly ones may be.
    assert len(triton.copies) == 1


async def test_a_candidate_that_hangs_keeps_no_answer_waiting_and_the_rest_is_shed(client, triton):
    triton.staged_rules.append(forever)
    # One is with the candidate, and as many wait as may; of the others none is kept.
    async with asyncio.timeout(30):
        await ask(client)
        await until(lambda: triton.copies)
        for number in range(traffic._MOST + 4):
            await ask(client, JPEG + bytes([number]))
    await counted(client, shed=4)
    assert len(triton.copies) == 1


async def test_large_images_that_wait_are_bounded_in_bytes(client, triton, monkeypatch):
    monkeypatch.setattr(traffic, "_MOST_BYTES", 3 * len(JPEG))
    triton.staged_rules.append(forever)
    await ask(client)
    await until(lambda: triton.copies)
    for _ in range(5):
        await ask(client)
    await counted(client, shed=2)


async def test_while_requests_are_in_flight_no_copy_is_sent(client, triton):
    done = triton.hold()
    triton.staged_rules.append(_at_once)
    waiting = asyncio.ensure_future(ask(client, PNG))
    await until(lambda: triton.now)
    triton.rules.clear()
    for _ in range(traffic._MOST + 1):
        await ask(client)
    await counted(client, shed=1)
    await asyncio.sleep(10 * traffic._PAUSE_SECONDS)
    assert triton.copies == []
    done.set()
    await waiting
    await counted(client, compared=traffic._MOST)


async def _at_once(*_):
    """Holds nobody, whatever the rules of the toy do."""


async def test_a_copy_that_waits_too_long_is_dropped(client, triton, monkeypatch):
    monkeypatch.setattr(traffic, "_WAIT_SECONDS", 0.05)
    done = triton.hold()
    waiting = asyncio.ensure_future(ask(client, PNG))
    await until(lambda: triton.now)
    triton.rules.clear()
    await ask(client)
    await counted(client, shed=1)
    done.set()
    await waiting
    await counted(client, compared=1)
    assert triton.copies == [PNG]


async def test_copies_take_no_more_than_their_share_of_the_time(start, change, triton):
    change("shadow", changes.shadow(10_000))
    client = await start(shadow_time_share=1e-9)
    async with asyncio.timeout(30):
        while not triton.copies:
            await ask(client)
            await asyncio.sleep(0.02)
    for _ in range(traffic._MOST + 1):
        await ask(client)
    await asyncio.sleep(10 * traffic._PAUSE_SECONDS)
    # The next one may be sent in years.
    assert len(triton.copies) == 1


async def test_a_candidate_that_is_retired_meanwhile_gets_no_copy(client, triton, change):
    done = triton.hold()
    waiting = asyncio.ensure_future(ask(client, PNG))
    await until(lambda: triton.now)
    triton.rules.clear()
    await ask(client)
    change("retire", changes.retire(NEW))
    # The gateway looks for changes many times meanwhile.
    await asyncio.sleep(50 * assignment._SECONDS)
    done.set()
    await waiting
    await counted(client, shed=1)
    assert triton.copies == []


async def test_only_answers_of_the_release_as_it_is_are_compared(client, triton, change):
    for query in ("?member=vgg16", "?threshold=0.3", "?explain=true"):
        await ask(client, path=f"/api/v1/predict{query}")
    named = await client.post("/api/v1/predict", content=JPEG, headers={**RAW, "X-Release": OLD})
    assert named.json()["release"] == OLD
    refused = await client.post("/api/v1/predict", content=b"text", headers=RAW)
    assert refused.status_code == 415
    # What the candidate answers itself is not compared with itself.
    change("split", changes.split(10_000))
    async with asyncio.timeout(30):
        while True:
            answer = await client.post("/api/v1/predict", content=PNG, headers=RAW)
            if answer.json()["release"] == NEW:
                break
            await asyncio.sleep(0.05)
    assert JPEG not in triton.copies
    for _ in range(3):
        await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    await asyncio.sleep(10 * traffic._PAUSE_SECONDS)
    assert triton.copies.count(JPEG) == 3


async def test_a_share_of_the_images_is_compared(start, change, triton, monkeypatch):
    change("shadow", changes.shadow(2_500))
    client = await start(shadow_time_share=1)
    drawn = iter([0.9, 0.1, 0.5, 0.25, 0.2499, 0.7] * 1000)
    monkeypatch.setattr(traffic.random, "random", lambda: next(drawn))
    async with asyncio.timeout(30):
        while not triton.copies:
            await ask(client, PNG)
            await asyncio.sleep(0.02)
    triton.copies.clear()
    drawn = iter([0.9, 0.1, 0.5, 0.25, 0.2499, 0.7])
    for number in range(6):
        await ask(client, JPEG + bytes([number]))
    await until(lambda: len(triton.copies) == 2)
    assert [each for each in triton.copies if each != PNG] == [
        JPEG + bytes([1]),
        JPEG + bytes([4]),
    ]


async def test_images_over_grpc_and_in_batches_are_compared_too(open_grpc, change, triton):
    change("shadow", changes.shadow(10_000))
    client = await open_grpc(shadow_time_share=1)
    async with asyncio.timeout(30):
        while not triton.copies:
            await client.infer("oral_cancer", images(PNG))
            await asyncio.sleep(0.02)
    triton.copies.clear()
    await client.infer("oral_cancer", images(JPEG, JPEG))
    await until(lambda: triton.copies.count(JPEG) == 2)


async def test_sums_that_cannot_be_written_are_written_later(client, triton, monkeypatch):
    add, failures = shadow.add, [ValueError(), ValueError()]

    def fails(connection, counts):
        if failures:
            raise failures.pop()
        add(connection, counts)

    monkeypatch.setattr(shadow, "add", fails)
    await ask(client)
    (found,) = await compared(client)
    assert (failures, found["compared"]) == ([], 1)
