"""Requests that are refused before an image is looked at: rows of known callers alone."""

import asyncio
from types import SimpleNamespace

import pytest

from gateway.audit import audit_log
from gateway.identity.principal import Role
from tests.unit.gateway.samples import JPEG, RAW

pytestmark = pytest.mark.anyio


async def rows_of(audit_rows, count):
    """Waits for as many rows, as nobody waits for those of refusals."""
    async with asyncio.timeout(10):
        while len(audit_rows()) < count:  # noqa: ASYNC110 - nobody waits for these rows
            await asyncio.sleep(0.05)
    return audit_rows()


async def test_a_known_callers_refusals_are_rows(start, new_key, audit_rows):
    http = await start(auth="required")
    key = {"x-api-key": new_key("ward", pipelines=["mhist"])}
    refused = await http.post("/api/v1/predict", content=JPEG, headers={**RAW, **key})
    assert refused.status_code == 403
    other = {"x-api-key": new_key("lab", roles=[Role.FEEDBACK])}
    await http.post("/v2/models/oral_cancer/infer", content=b"{}", headers=other)
    rows = await rows_of(audit_rows, 2)
    assert [(row.tenant, row.principal_kind, row.refusal) for row in rows] == [
        ("ward", "key", "forbidden"),
        ("lab", "key", "forbidden"),
    ]
    assert rows[0].request_id == refused.headers["x-request-id"]
    assert {(row.input_digest, row.result, row.parameters) for row in rows} == {(None, None, "{}")}


async def test_wrong_keys_are_no_rows(start, new_key, audit_rows):
    http = await start(auth="required")
    key = {"x-api-key": new_key("ward", pipelines=["mhist"])}
    for number in range(50):
        wrong = {"x-api-key": f"so_{number}", **RAW}
        assert (await http.post("/api/v1/predict", content=JPEG, headers=wrong)).status_code == 401
    await http.post("/api/v1/predict", content=JPEG, headers={**RAW, **key})
    assert len(await rows_of(audit_rows, 1)) == 1


async def test_a_caller_who_is_refused_in_a_loop_does_not_fill_the_disk(
    start, new_key, audit_rows, monkeypatch
):
    monkeypatch.setattr(audit_log, "REFUSALS_A_MINUTE", 3)
    monkeypatch.setattr(audit_log, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    http = await start(auth="required")
    loop, other = (new_key(name, pipelines=["mhist"]) for name in ("loop", "other"))
    for key in (loop, loop, loop, loop, loop, other):
        headers = {**RAW, "x-api-key": key}
        await http.post("/api/v1/predict", content=JPEG, headers=headers)
    rows = await rows_of(audit_rows, 4)
    assert [row.tenant for row in rows] == ["loop", "loop", "loop", "other"]


async def test_an_answer_is_accounted_to_its_caller(start, new_key, audit_rows):
    http = await start(auth="required")
    key = new_key("ward")
    response = await http.post("/api/v1/predict", content=JPEG, headers={**RAW, "x-api-key": key})
    assert response.status_code == 200
    (row,) = audit_rows()
    assert (row.tenant, row.principal_kind) == ("ward", "key")
    assert row.credential
    assert row.credential in key
    assert all(key not in str(value) for value in row)
