"""Two releases of a pipeline beside each other: who is answered by which, over HTTP and gRPC."""

import asyncio
from collections import Counter
from itertools import count

import pytest

from database.engine import open_engine
from gateway.core import assignment
from gateway.settings import Settings
from pipelines import release_changes as changes
from tests.unit.gateway.asking import images
from tests.unit.gateway.samples import JPEG, RAW, assert_problem, files
from tests.unit.gateway.toy_triton import running
from tests.unit.gateway.two_releases import NEW, OLD, TwoReleases, changes_in_database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def triton():
    async with running(TwoReleases()) as toy:
        yield toy


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(assignment, "_SECONDS", 0.01)


@pytest.fixture
def change():
    with changes_in_database() as make:
        yield make


async def ask(client, subject=None, **options):
    headers = RAW | ({"X-Subject-ID": subject} if subject else {})
    answer = await client.post("/api/v1/predict", content=JPEG, headers=headers, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()["release"]


async def until(client, release, subject):
    """Waits until the gateway has noticed a change."""
    async with asyncio.timeout(30):
        while await ask(client, subject) != release:  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.01)


async def subject_of(client, release, *, start=0):
    """A subject that a release answers."""
    for number in count(start):
        if await ask(client, f"s{number}") == release:
            return f"s{number}"
    raise AssertionError


async def test_only_the_candidates_share_is_answered_by_it_and_each_subject_by_one(client, change):
    change("stage", changes.stage(NEW))
    assert {await ask(client, f"s{number}") for number in range(20)} == {OLD}
    change("split", changes.split(5000))
    async with asyncio.timeout(30):
        chosen = await subject_of(client, NEW)
    first = {n: await ask(client, f"s{n}") for n in range(40)}
    again = {n: await ask(client, f"s{n}") for n in range(40)}
    assert first == again
    assert 8 < Counter(first.values())[NEW] < 32
    change("split", changes.split(7500))
    async with asyncio.timeout(30):
        olds = [f"s{n}" for n in range(40) if first[n] == OLD]
        while NEW not in {await ask(client, subject) for subject in olds}:
            pass
    later = {n: await ask(client, f"s{n}") for n in range(40)}
    assert all(later[n] == NEW for n in range(40) if first[n] == NEW)
    assert await ask(client, chosen) == NEW


async def test_two_gateways_and_both_doors_agree_and_a_batch_is_of_one_release(
    open_grpc, start, change
):
    change("stage", changes.stage(NEW))
    change("split", changes.split(5000))
    one, other = await open_grpc(), await start(settled=False)
    for client in (one.http, other):
        async with asyncio.timeout(30):
            await subject_of(client, NEW)
    for number in range(12):
        subject = f"s{number}"
        release = await ask(one.http, subject)
        assert await ask(other, subject) == release
        answer = await one.infer("oral_cancer", images(JPEG), headers={"x-subject-id": subject})
        assert answer.as_numpy("release").reshape(-1)[0].decode() == release
    batch = await one.http.post("/api/v1/predict/batch", files=files(*[JPEG] * 6))
    assert batch.json()["summary"]["failed"] == 0


async def test_a_request_that_names_no_subject_is_divided_by_its_images(client, change):
    change("stage", changes.stage(NEW))
    change("split", changes.split(5000))
    async with asyncio.timeout(30):
        await subject_of(client, NEW)
    answers = {}
    for number in range(30):
        photo = JPEG + bytes([number])
        for _ in range(2):
            answer = await client.post("/api/v1/predict", content=photo, headers=RAW)
            answers.setdefault(number, set()).add(answer.json()["release"])
    assert all(len(each) == 1 for each in answers.values())
    assert set().union(*answers.values()) == {OLD, NEW}


async def test_promotion_and_rollback_move_everybody(client, change):
    change("stage", changes.stage(NEW))
    change("promote", changes.promote())
    await until(client, NEW, "s0")
    assert {await ask(client, f"s{number}") for number in range(10)} == {NEW}
    listed = (await client.get("/api/v1/pipelines/oral_cancer")).json()
    assert listed["release"] == NEW
    # KServe's names do not change with the release.
    metadata = (await client.get("/v2/models/oral_cancer")).json()
    config = (await client.get("/v2/models/oral_cancer/config")).json()
    assert (metadata["name"], config["name"]) == ("oral_cancer", "oral_cancer")
    index = (await client.post("/v2/repository/index", json={})).json()
    assert [model["name"] for model in index] == ["oral_cancer"]
    change("rollback", changes.rollback())
    await until(client, OLD, "s0")
    assert {await ask(client, f"s{number}") for number in range(10)} == {OLD}


async def test_a_candidate_that_is_unloaded_leaves_its_callers_to_the_current_release(
    client, triton, change
):
    change("stage", changes.stage(NEW))
    change("split", changes.split(10_000))
    await until(client, NEW, "s0")
    triton.loaded = False
    assert {await ask(client, f"s{number}") for number in range(3)} == {OLD}
    assert (await client.get("/readyz")).status_code == 200


async def test_a_release_that_is_not_loaded_is_not_waited_for(client, triton, change):
    triton.loaded = False
    change("stage", changes.stage(NEW))
    change("promote", changes.promote())
    assert await ask(client, "s0") == OLD
    triton.loaded = True
    await until(client, NEW, "s0")


@pytest.mark.parametrize("subject", ["x" * 129, "\x07", "é"])
async def test_a_subject_that_is_no_name_is_refused_and_not_repeated(client, subject):
    headers = {**RAW, "X-Subject-ID": subject.encode()}
    response = await client.post("/api/v1/predict", content=JPEG, headers=headers)
    assert_problem(response, 422, "parameter_invalid")
    assert subject not in response.text


async def test_a_subject_is_in_no_log_line_and_no_row(client, capsys):
    await ask(client, "patient-4711-secret")
    engine = open_engine(Settings().database_url)
    with engine.connect() as connection:
        rows = str(connection.exec_driver_sql("SELECT * FROM predictions").all())
    engine.dispose()
    assert "oral_cancer" in rows
    assert "4711" not in rows + "".join(capsys.readouterr())
