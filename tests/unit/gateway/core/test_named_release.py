"""An operator names the loaded release that is to answer; nobody else can."""

import base64

import pytest
from sqlalchemy import select
from tritonclient.utils import InferenceServerException

from database.engine import open_engine
from database.tables import predictions
from gateway.identity.principal import Role
from gateway.settings import Settings
from pipelines import release_changes as changes
from tests.unit.gateway import two_releases
from tests.unit.gateway.asking import images
from tests.unit.gateway.samples import JPEG, RAW, assert_problem, files
from tests.unit.gateway.toy_triton import SPEC, release_of, running
from tests.unit.gateway.two_releases import NEW, NEWER, OLD, TwoReleases, changes_in_database

pytestmark = pytest.mark.anyio
PREDICT = "/api/v1/predict"
KSERVE = "/v2/models/oral_cancer/infer"


@pytest.fixture
async def triton():
    async with running(TwoReleases()) as toy:
        yield toy


@pytest.fixture(autouse=True)
def _staged(own_database):
    """The candidate is loaded and answers nobody."""
    with changes_in_database() as change:
        change(changes.Action.STAGE, changes.stage(NEW))


@pytest.fixture
def audit_rows():
    """Reads the rows of the test's database, in the order in which they were written."""
    engine = open_engine(Settings().database_url)

    def read():
        with engine.connect() as connection:
            order = select(predictions).order_by(predictions.c.position)
            return connection.execute(order).all()

    yield read
    engine.dispose()


def named(release):
    return {**RAW, "X-Release": release}


async def test_each_release_answers_by_its_name_and_the_row_says_who_was_named(client, audit_rows):
    for release in (OLD, NEW):
        answer = await client.post(PREDICT, content=JPEG, headers=named(release))
        assert answer.json()["release"] == release
        row = audit_rows()[-1]
        assert (row.id, row.release) == (answer.json()["prediction_id"], release)
        assert row.parameters == f'{{"release":"{release}"}}'
    unnamed = await client.post(PREDICT, content=JPEG, headers=RAW)
    assert (unnamed.json()["release"], audit_rows()[-1].parameters) == (OLD, "{}")


async def test_a_batch_and_grpc_and_kserves_protocol_are_answered_by_the_named_release(open_grpc):
    grpc = await open_grpc()
    headers = {"X-Release": NEW}
    batch = await grpc.http.post(f"{PREDICT}/batch", files=files(JPEG, JPEG), headers=headers)
    assert batch.json()["release"] == NEW
    answer = await grpc.infer("oral_cancer", images(JPEG), headers={"x-release": NEW})
    assert answer.as_numpy("release").reshape(-1)[0].decode() == NEW
    sent = {"name": "image", "shape": [1, 1], "datatype": "BYTES"}
    body = {"inputs": [sent | {"data": [base64.b64encode(JPEG).decode()]}]}
    kserve = await grpc.http.post(KSERVE, json=body, headers=headers)
    (said,) = [out["data"] for out in kserve.json()["outputs"] if out["name"] == "release"]
    assert said == [NEW]


async def test_the_facts_of_a_named_release_are_its_own(client):
    facts = (await client.get("/api/v1/pipelines/oral_cancer", headers={"X-Release": NEW})).json()
    assert (facts["release"], facts["release_sha256"]) == (NEW, "9" * 64)
    assert (await client.get("/api/v1/pipelines/oral_cancer")).json()["release"] == OLD


async def test_only_operators_may_name_a_release(open_grpc, new_key):
    grpc = await open_grpc(auth="required")
    caller = {"X-API-Key": new_key(roles=(Role.PREDICT,))}
    asked = [
        await grpc.http.post(PREDICT, content=JPEG, headers=named(NEW) | caller),
        await grpc.http.get("/api/v1/pipelines/oral_cancer", headers={"X-Release": NEW} | caller),
        await grpc.http.post(PREDICT, content=JPEG, headers=named("no id") | caller),
    ]
    for refused in asked:
        assert_problem(refused, 403, "forbidden")
        assert NEW not in refused.text
    with pytest.raises(InferenceServerException, match="forbidden"):
        await grpc.infer(
            "oral_cancer",
            images(JPEG),
            headers={"x-release": NEW, "x-api-key": caller["X-API-Key"]},
        )
    operator = {"X-API-Key": new_key(roles=(Role.PREDICT, Role.OPERATE))}
    answer = await grpc.http.post(PREDICT, content=JPEG, headers=named(NEW) | operator)
    assert answer.json()["release"] == NEW


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ("3-cccccccc", 404, "release_unknown"),
        ("../1", 422, "parameter_invalid"),
        ("", 422, "parameter_invalid"),
    ],
)
async def test_a_release_that_is_not_loaded_is_refused_and_no_other_answers(
    client, triton, said, status, code
):
    triton.seen.clear()
    assert_problem(await client.post(PREDICT, content=JPEG, headers=named(said)), status, code)
    assert triton.seen == []


async def test_a_named_release_that_is_unloaded_leaves_nothing_to_the_current_one(client, triton):
    named_once = await client.post(PREDICT, content=JPEG, headers=named(NEW))
    assert named_once.json()["release"] == NEW
    triton.loaded = False
    refused = await client.post(PREDICT, content=JPEG, headers=named(NEW))
    assert_problem(refused, 503, "unavailable")
    # The release that serves is as ready as before.
    assert (await client.get("/readyz")).status_code == 200
    assert (await client.post(PREDICT, content=JPEG, headers=RAW)).json()["release"] == OLD


async def test_a_member_that_the_named_release_lacks_is_refused(start, monkeypatch):
    narrow = NEWER.model_copy(update={"members": {"regnet": SPEC.members["regnet"]}})
    monkeypatch.setattr(two_releases, "NEWER", narrow)
    client = await start()
    headers = named(release_of(narrow))
    facts = await client.get("/api/v1/pipelines/oral_cancer", headers=headers)
    assert list(facts.json()["members"]) == ["regnet"]
    refused = await client.post(f"{PREDICT}?member=vgg16", content=JPEG, headers=headers)
    assert_problem(refused, 404, "member_unknown")


async def test_what_is_asked_by_name_is_counted_as_no_traffic(client):
    async def counted():
        text = (await client.get("/metrics")).text
        return [line for line in text.splitlines() if line.startswith("prediction_")]

    before = await counted()
    await client.post(PREDICT, content=JPEG, headers=named(NEW))
    assert await counted() == before
    await client.post(PREDICT, content=JPEG, headers=RAW)
    assert await counted() != before


async def test_an_idempotency_key_is_of_one_release(client):
    keyed = {"Idempotency-Key": "k"}
    first = await client.post(PREDICT, content=JPEG, headers=named(NEW) | keyed)
    again = await client.post(PREDICT, content=JPEG, headers=named(NEW) | keyed)
    assert again.json() == first.json()
    other = await client.post(PREDICT, content=JPEG, headers=named(OLD) | keyed)
    assert_problem(other, 422, "idempotency_mismatch")
