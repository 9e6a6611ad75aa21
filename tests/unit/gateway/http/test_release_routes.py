"""The operator's routes of releases: who may ask, what is changed, and what is written of it."""

import pytest

from database.engine import open_engine
from gateway.core.catalog import Catalog
from gateway.identity.principal import Role
from gateway.settings import Settings
from pipelines.release import release_path
from pipelines.release_state import ReleaseState
from tests.unit.gateway.samples import assert_problem
from tests.unit.gateway.toy_triton import SPEC, release_of

pytestmark = pytest.mark.anyio
OLD, NEW = release_of(SPEC), "2-bbbbbbbb"
URL = "/api/v1/releases"


@pytest.fixture
async def operator(start, new_key):
    client = await start(auth="required")
    client.headers["X-API-Key"] = new_key(roles=(Role.OPERATE, Role.AUDIT))
    return client


@pytest.fixture
def candidate():
    """A candidate that nobody has loaded, as another process has noted it."""
    from database import releases as history  # noqa: PLC0415 - after the settings
    from pipelines import release_changes as changes  # noqa: PLC0415 - after the settings

    engine = open_engine(Settings().database_url)
    first = ReleaseState(pipeline=SPEC.name, profile="default", revision=1, current=OLD)
    with engine.begin() as connection:
        history.apply(
            connection,
            changes.Action.STAGE,
            changes.stage(NEW),
            first=lambda: first,
            pipeline=SPEC.name,
            profile="default",
            author=history.Author("command"),
        )
    engine.dispose()


async def test_what_was_never_changed_is_shown_as_it_serves(operator):
    (state,) = (await operator.get(URL)).json()["releases"]
    assert (state["pipeline"], state["current"], state["loaded"]) == (SPEC.name, OLD, [OLD])
    assert (state["candidate"], state["former"]) == (None, None)
    assert (state["share"], state["shadow"]) == (0, 0)
    assert (await operator.get(f"{URL}/oral_cancer")).json()["changes"] == []


async def test_a_change_is_made_once_and_is_a_row_of_the_audit_log(operator, candidate):
    dry = await operator.post(f"{URL}/oral_cancer/retire", json={"release": NEW, "dry_run": True})
    assert dry.json()["candidate"] is None
    body = {"release": NEW, "evidence": "worse in the ward's own photos"}
    done = await operator.post(f"{URL}/oral_cancer/retire", json=body)
    assert (done.status_code, done.json()["revision"]) == (200, 3)
    again = await operator.post(f"{URL}/oral_cancer/retire", json=body)
    assert_problem(again, 409, "release_refused")
    retired, staged, _ = (await operator.get(f"{URL}/oral_cancer")).json()["changes"]
    assert (retired["by"], retired["evidence"]) == ("clinic", body["evidence"])
    assert (staged["by"], staged["candidate"]) == ("command", NEW)
    rows = (await operator.get("/api/v1/audit", params={"event": "release"})).json()["rows"]
    assert [row["parameters"] for row in rows] == [{"action": "retire", "release": NEW}]


async def test_a_candidate_that_is_not_loaded_gets_no_callers(operator, candidate):
    for action, body in (
        ("shadow", {"share": 100}),
        ("split", {"share": 100}),
        ("promote", {}),
    ):
        refused = await operator.post(f"{URL}/oral_cancer/{action}", json=body)
        assert_problem(refused, 409, "release_refused")
        assert "not loaded yet" in refused.json()["detail"]


async def test_no_rollback_to_a_release_that_is_not_loaded(operator, candidate, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "loaded", lambda *_: object())
        body = {"without_gate": "a test"}
        done = await operator.post(f"{URL}/oral_cancer/promote", json=body)
        assert done.json()["former"] == OLD
        patch.setattr(Catalog, "loaded", lambda *_: None)
        refused = await operator.post(f"{URL}/oral_cancer/rollback")
        assert_problem(refused, 409, "release_refused")
        assert f"{OLD} is not loaded yet" in refused.json()["detail"]
    assert (await operator.post(f"{URL}/oral_cancer/rollback")).json()["current"] == OLD


async def test_a_promotion_asks_for_a_gate_report_or_a_reason(
    start, candidate, tmp_path, monkeypatch
):
    monkeypatch.setattr(Catalog, "loaded", lambda *_: object())
    release_path(SPEC.name, NEW, tmp_path).parent.mkdir(parents=True)
    for settings, words in (
        ({}, "GATEWAY_MODEL_REPOSITORY"),
        ({"model_repository": tmp_path}, f"no gate report of {NEW} is kept"),
    ):
        client = await start(settled=False, **settings)
        refused = await client.post(f"{URL}/oral_cancer/promote", json={})
        assert_problem(refused, 409, "release_refused")
        assert words in refused.json()["detail"]
    body = {"without_gate": "ward 7 waits", "evidence": "see the minutes"}
    dry = await client.post(f"{URL}/oral_cancer/promote", json=body | {"dry_run": True})
    assert dry.json()["current"] == NEW
    done = await client.post(f"{URL}/oral_cancer/promote", json=body)
    assert (done.status_code, done.json()["former"]) == (200, OLD)
    promoted = (await client.get(f"{URL}/oral_cancer")).json()["changes"][0]
    assert promoted["evidence"] == "without gate: ward 7 waits; see the minutes"
    rows = (await client.get("/api/v1/audit", params={"event": "release"})).json()["rows"]
    parameters = [row["parameters"] for row in rows if row["refusal"] is None]
    assert {"action": "promote", "without_gate": True} in parameters


@pytest.mark.parametrize("action", ["shadow", "split"])
async def test_a_share_needs_a_number_a_candidate_and_a_pipeline(operator, action):
    for body, why in (({}, "share: name it"), ({"share": 5}, "there is no candidate")):
        refused = await operator.post(f"{URL}/oral_cancer/{action}", json=body)
        assert_problem(refused, 409, "release_refused")
        assert why in refused.json()["detail"]
    for share in (-1, 10_001):
        refused = await operator.post(f"{URL}/oral_cancer/{action}", json={"share": share})
        assert_problem(refused, 422, "parameter_invalid")
    unknown = await operator.post(f"{URL}/no_such/{action}", json={"share": 5})
    assert_problem(unknown, 404, "pipeline_unknown")


async def test_what_was_compared_is_for_operators_of_the_pipeline(operator, new_key):
    compared = await operator.get(f"{URL}/oral_cancer/shadow")
    assert compared.json() == {"pipeline": "oral_cancer", "comparisons": []}
    assert_problem(await operator.get(f"{URL}/no_such/shadow"), 404, "pipeline_unknown")
    for options in ({"roles": (Role.PREDICT,)}, {"roles": (Role.OPERATE,), "pipelines": ["mhist"]}):
        headers = {"X-API-Key": new_key(**options)}
        refused = await operator.get(f"{URL}/oral_cancer/shadow", headers=headers)
        assert_problem(refused, 403, "forbidden")


async def test_without_the_repository_nothing_is_staged(operator):
    refused = await operator.post(f"{URL}/oral_cancer/stage", json={"release": NEW})
    assert_problem(refused, 409, "release_refused")
    assert "GATEWAY_MODEL_REPOSITORY" in refused.json()["detail"]


async def test_a_gateway_that_reaches_the_repository_has_it_follow(start, candidate, tmp_path):
    folder = release_path(SPEC.name, NEW, tmp_path).parent
    folder.mkdir(parents=True)
    client = await start(model_repository=tmp_path, settled=False)
    await client.post(f"{URL}/oral_cancer/retire", json={"release": NEW})
    state = ReleaseState.read(SPEC.name, "default", tmp_path)
    assert (state.revision, state.loaded) == (3, (OLD,))
    refused = await client.post(f"{URL}/oral_cancer/stage", json={"release": NEW})
    assert_problem(refused, 409, "release_refused")
    assert f"{NEW}.json: missing" in refused.json()["detail"]


@pytest.mark.parametrize(
    "body", [b"{", b'{"share": 10001}', b'{"share": "1"}', b'{"x": 1}', b'{"release": "../1"}']
)
async def test_a_body_that_is_none_is_refused(operator, body):
    refused = await operator.post(f"{URL}/oral_cancer/split", content=body)
    assert_problem(refused, 422, "parameter_invalid")


async def test_only_operators_of_the_pipeline_may_see_and_change(operator, new_key):
    for key, role in (
        (new_key(roles=(Role.PREDICT,)), "role"),
        (new_key(roles=(Role.OPERATE,), pipelines=["mhist"]), "pipeline"),
    ):
        headers = {"X-API-Key": key}
        response = await operator.post(f"{URL}/oral_cancer/rollback", headers=headers)
        assert_problem(response, 403, "forbidden")
        history = await operator.get(f"{URL}/oral_cancer", headers=headers)
        assert_problem(history, 403, "forbidden")
        listed = await operator.get(URL, headers=headers)
        assert role == "role" or listed.json() == {"releases": []}
