"""GET /api/v1/usage: who asked what, what came of it and what it cost; one's own, or all."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from database.engine import open_engine
from database.tables import chains, predictions
from gateway.app import create_app
from gateway.http import usage_routes
from gateway.identity.principal import OPEN, Principal, Role
from gateway.results.shapes import adapter
from gateway.settings import Settings
from gateway.usage.prices import Prices
from tests.unit.database.rows import row
from tests.unit.gateway.samples import JPEG, RAW, assert_problem

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)
PRICED = {"price_cpu_hour": 0.036, "price_gpu_hour": 3.6}
"""A CPU second costs 0.00001, a GPU second 0.001."""


def micro(moment):
    return int(moment.timestamp() * 1_000_000)


def image(position, *, caller="ward", at=NOW, cpu=0.5, gpu=0.0, level="low", **values):
    parts = {"decode": {"seconds": cpu, "device": "cpu"}}
    if gpu:
        parts["vgg16"] = {"seconds": gpu, "device": "gpu"}
    values = {"result": json.dumps({"uncertainty": {"level": level}})} | values
    return row(
        **{"principal_id": f"id-{caller}", "tenant": caller, "at": micro(at)} | values,
        compute=json.dumps(parts),
        chain="c",
        position=position,
        previous="0" * 64,
        hash=f"{position:064}",
    )


@pytest.fixture
def stored(sqlite_url):
    """Rows: two of the ward, one of the clinic that another pipeline refused, one of last month."""
    rows = [
        image(1),
        image(2, level="high", gpu=0.25),
        image(3, caller="clinic", pipeline="mhist", refusal="image_format", result=None),
        image(4, at=NOW - timedelta(days=40)),
    ]
    engine = open_engine(sqlite_url)
    with engine.begin() as connection:
        begun = {"chain": "c", "gateway": "g", "at": 0, "genesis": "0" * 64, "probed_at": 0}
        connection.execute(insert(chains), begun)
        connection.execute(insert(predictions), rows)
    engine.dispose()


async def asked(client, query=""):
    response = await client.get(f"/api/v1/usage{query}")
    assert response.status_code == 200, response.text
    report = response.json()
    adapter(usage_routes.UsageReport).validate_python(report)
    return report


async def test_usage_of_this_month_is_told_apart_and_priced(start, stored):
    client = await start(**PRICED)
    report = await asked(client, "?by=pipeline&by=outcome,level")
    assert report["by"] == ["pipeline", "outcome", "level"]
    assert [tuple(each[name] for name in report["by"]) for each in report["rows"]] == [
        ("mhist", "image_format", ""),
        ("oral_cancer", "ok", "high"),
        ("oral_cancer", "ok", "low"),
    ]
    high = report["rows"][1]
    assert (high["images"], high["cpu_seconds"], high["gpu_seconds"]) == (1, 0.5, 0.25)
    assert high["cost"] == pytest.approx(0.000255)
    assert high["cost_per_thousand"] == pytest.approx(0.255)
    assert report["total"]["images"] == 3
    assert report["total"]["bytes"] == 3000
    assert report["prices"] == {"cpu_hour": 0.036, "gpu_hour": 3.6, "currency": "EUR"}
    assert report["from"] == NOW.strftime("%Y-%m-01T00:00:00Z")
    assert "idle" not in report


async def test_an_answer_is_in_the_usage_at_once(start):
    client = await start(**PRICED)
    answer = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    await client.post("/api/v1/predict", content=b"no image", headers=RAW)
    report = await asked(client, "?by=outcome,level,format")
    assert [(each["outcome"], each["level"], each["format"]) for each in report["rows"]] == [
        ("image_format", "", ""),
        ("ok", "high", "jpeg"),
    ]
    stated = answer.json()["compute_ms"] / 1000
    assert report["total"]["cpu_seconds"] == pytest.approx(stated)
    assert report["total"]["cost"] == pytest.approx(stated * 0.00001, abs=1e-6)


async def test_callers_have_names_and_hours_their_beginning(start, stored):
    report = await asked(await start(), "?by=caller,hour")
    assert [(each["caller"], each["name"]) for each in report["rows"]] == [
        ("id-clinic", "clinic"),
        ("id-ward", "ward"),
    ]
    assert {each["hour"] for each in report["rows"]} == {NOW.strftime("%Y-%m-%dT%H:00:00Z")}
    assert report["total"]["cost"] is None


async def test_times_and_values_choose_what_is_counted(start, stored):
    client = await start()
    long_ago = (NOW - timedelta(days=60)).date().isoformat()
    assert (await asked(client, f"?from={long_ago}"))["total"]["images"] == 4
    assert (await asked(client, f"?from={long_ago}&name=clinic"))["total"]["images"] == 1
    before = (NOW - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (await asked(client, f"?from={long_ago}&to={before}"))["total"]["images"] == 1
    assert (await asked(client, "?to=2026-05-02T10:30:00Z"))["from"] == "2026-05-01T00:00:00Z"
    nothing = await asked(client, "?pipeline=snake_species&by=release")
    assert (nothing["rows"], nothing["total"]["images"]) == ([], 0)
    assert nothing["total"]["cost_per_thousand"] is None


async def test_what_stands_ready_and_computes_nothing_is_idle(start, stored):
    client = await start(**PRICED, capacity_cpu_cores=2)
    hour = NOW.strftime("%Y-%m-%dT%H:00:00Z")
    idle = (await asked(client, f"?from={hour}"))["idle"]
    so_far = (datetime.now(UTC) - datetime.fromisoformat(hour)).total_seconds()
    assert idle["cpu_seconds"] == pytest.approx(2 * so_far - 1.5, abs=10)
    assert idle["cost"] == pytest.approx(idle["cpu_seconds"] * 0.00001, abs=1e-6)
    # Of one caller nobody can say what part of the rest stood idle for it.
    assert "idle" not in await asked(client, f"?from={hour}&name=ward")


@pytest.mark.parametrize(
    "query",
    [
        "?by=patient",
        "?from=yesterday",
        "?from=2026-13-01",
        "?to=0001-01-01",
        "?from=9999-12-31T23:59:59Z",
        "?from=2026-05-02&to=2026-05-01",
        "?pipelines=mhist",
    ],
)
async def test_a_question_that_cannot_be_meant_names_the_parameter(start, query):
    response = await (await start()).get(f"/api/v1/usage{query}")
    assert response.status_code == 422
    assert "patient" not in response.text
    assert response.json()["code"] in {"parameter_invalid", "field_missing", "malformed_body"}


async def test_more_rows_than_an_answer_has_are_refused_with_the_remedy(start, stored, monkeypatch):
    monkeypatch.setattr("gateway.usage.usage.MOST_GROUPS", 1)
    response = await (await start()).get("/api/v1/usage?by=pipeline")
    assert_problem(response, 422, "parameter_invalid")
    assert "fewer dimensions" in response.json()["detail"]


def principal(*roles, pipelines=None):
    return Principal("id-ward", "key", "ward", frozenset(roles), pipelines)


def allowed(who, **asked):
    return usage_routes._allowed(who, {usage_routes.Dimension(k): v for k, v in asked.items()})


def test_who_does_not_operate_sees_itself_alone():
    ward = principal(Role.PREDICT)
    assert allowed(ward) == {"caller": ["id-ward"]}
    assert allowed(ward, caller="id-ward", outcome="ok") == {
        "caller": ["id-ward"],
        "outcome": ["ok"],
    }
    # A name is no way round: it is looked for among its own.
    assert allowed(ward, name="clinic") == {"caller": ["id-ward"], "name": ["clinic"]}
    with pytest.raises(usage_routes.RefusedError, match="operate"):
        allowed(ward, caller="id-clinic")


def test_who_operates_sees_all_and_of_the_pipelines_that_it_covers():
    assert allowed(principal(Role.OPERATE)) == {}
    assert allowed(OPEN, caller="id-clinic") == {"caller": ["id-clinic"]}
    some = principal(Role.OPERATE, pipelines=frozenset({"mhist", "oral_cancer"}))
    assert allowed(some) == {"pipeline": ["mhist", "oral_cancer"]}
    assert allowed(some, pipeline="mhist") == {"pipeline": ["mhist"]}
    with pytest.raises(usage_routes.RefusedError, match="do not cover"):
        allowed(some, pipeline="snake_species")


@pytest.mark.parametrize(
    ("cpu", "gpu", "seconds", "cost"),
    [
        (3.6, None, (1000, 0), 1.0),
        (3.6, None, (1000, 1), None),
        (None, 3.6, (0, 1000), None),
        (3.6, 7.2, (1000, 500), 2.0),
        (0, 0, (1000, 500), 0.0),
    ],
)
def test_a_cost_is_unknown_where_a_price_is_missing(cpu, gpu, seconds, cost):
    assert Prices(cpu, gpu, "EUR").cost(*seconds) == cost


async def test_usage_without_a_database_is_unavailable(start, monkeypatch):
    client = await start()
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415 - of this test alone

    def fails(_):
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr("database.usage.refresh", fails)
    assert_problem(await client.get("/api/v1/usage"), 503, "unavailable")


def test_settings_refuse_prices_that_are_none():
    for name, value in (("price_cpu_hour", -1), ("price_currency", "E U R")):
        with pytest.raises(ValueError, match=name):
            Settings(**{name: value})
    assert create_app(Settings(price_currency="CHF")).title
