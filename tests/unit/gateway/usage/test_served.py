"""GET /api/v1/served: what serves, since when, and on what evidence."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from gateway.http.served_routes import ServedReleases
from gateway.identity.principal import Role
from gateway.results.shapes import adapter
from tests.unit.gateway.asking import until_ready
from tests.unit.gateway.samples import JPEG, RAW, assert_problem
from tests.unit.gateway.toy_triton import SPEC, release_of

pytestmark = pytest.mark.anyio
RELEASES = "/api/v1/served"
FIGURES = {
    "photos": 250,
    "error_before": {"value": 0.12, "low": 0.09, "high": 0.16},
    "error_after": {"value": 0.03, "low": 0.02, "high": 0.05},
}


async def served(client, **headers):
    answer = await client.get(RELEASES, headers=headers)
    assert answer.status_code == 200, answer.text
    adapter(ServedReleases).validate_python(answer.json())
    return answer.json()["releases"]


async def test_a_release_says_since_when_it_answers_and_how_it_is_calibrated(serving, triton):
    sets = {"ensemble": [0.1, 0.2], "members": {}}
    triton.calibration = json.dumps({"coverage": 0.95, **sets, "figures": FIGURES})
    client = await serving(SPEC)
    (before,) = await served(client)
    assert (before["pipeline"], before["serves"]) == ("oral_cancer", True)
    assert (before["first"], before["last"], before["images"]) == (None, None, 0)
    assert (before["release"], before["profile"]) == (release_of(SPEC), "default")
    assert before["release_sha256"] == "9" * 64
    assert (before["coverage"], before["calibration"]) == (0.95, FIGURES)
    for content in (JPEG, JPEG, b"no image"):
        await client.post("/api/v1/predict", content=content, headers=RAW)
    (after,) = await served(client)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    told = {datetime.fromisoformat(after[name]) for name in ("first", "last")}
    assert told <= {hour, hour - timedelta(hours=1)}
    assert after["images"] == 2


@pytest.mark.parametrize("said", [None, {"coverage": 0.95, "ensemble": None, "members": {}}])
async def test_without_figures_there_is_no_evidence(serving, triton, said):
    triton.calibration = said and json.dumps(said)
    (release,) = await served(await serving(SPEC))
    assert release["calibration"] is None


async def test_a_release_that_no_longer_serves_comes_last_without_its_facts(serving, triton):
    first = await serving(SPEC)
    await first.post("/api/v1/predict", content=JPEG, headers=RAW)
    newer = SPEC.model_copy(update={"release": "0"})
    client = await serving(newer)
    await until_ready(client)
    present, past = await served(client)
    assert (present["release"], present["serves"]) == (release_of(newer), True)
    assert (past["release"], past["serves"], past["images"]) == (release_of(SPEC), False, 1)
    assert (past["profile"], past["coverage"], past["calibration"]) == (None, None, None)


async def test_it_is_for_operators_and_their_pipelines(start, new_key):
    client = await start(auth="required")
    assert_problem(await client.get(RELEASES), 401, "unauthorized")
    headers = {"X-API-Key": new_key("ward", roles=(Role.PREDICT, Role.AUDIT))}
    assert_problem(await client.get(RELEASES, headers=headers), 403, "forbidden")
    ours = new_key("ours", roles=(Role.OPERATE,), pipelines=["oral_cancer"])
    assert len(await served(client, **{"X-API-Key": ours})) == 1
    others = new_key("others", roles=(Role.OPERATE,), pipelines=["mhist"])
    assert await served(client, **{"X-API-Key": others}) == []
