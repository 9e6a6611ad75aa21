"""The audit log, of both clients and of the commands: rows, pages, all rows, signed receipts."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from fastapi.responses import PlainTextResponse, StreamingResponse
from secondopinion import (
    AsyncClient,
    Client,
    ForbiddenError,
    NotFoundError,
    TransportError,
    UnexpectedAnswerError,
)

from client.tests.service import JSONResponse, problem

PREDICTION = "0190a3f2-7c1e-7000-8000-00000000000a"
RECEIPT = {"chain": "gateway-1", "position": 8, "head": "ff66"}
SIGNED = RECEIPT | {"statement": "receipt", "at": 17, "key": "ab12", "signature": "c2ln"}
ROW = {
    "prediction_id": PREDICTION,
    "event": "prediction",
    "at": "2026-11-30T12:00:00.123456+00:00",
    "caller": {"id": "key:k1", "kind": "key", "credential": "k1", "name": "ward"},
    "request_id": "5f0c",
    "transport": "http",
    "route": "predict",
    "pipeline": "oral_cancer",
    "release": "1-3fa9c2d1",
    "release_sha256": "00ff",
    "input": {"digest": "aa", "bytes": 1234, "format": "jpeg"},
    "parameters": {"threshold": "0.6"},
    "result": {"prediction": "cancer", "confidence": 0.9},
    "refusal": None,
    "stages": {"infer": 0.04},
    "compute": {"decode": {"seconds": 0.01, "device": "cpu"}},
    "compute_seconds": 0.05,
    "kept": False,
    "receipt": RECEIPT,
    "previous": "ee55",
    "from_a_newer_service": 1,
}
REFUSED = ROW | {
    "prediction_id": "0190a3f2-0002",
    "event": "refusal",
    "refusal": "forbidden",
    **dict.fromkeys(("release", "release_sha256", "input", "result", "compute", "compute_seconds")),
}


@pytest.fixture
def answers(service):
    """What the next requests get."""
    return service.other_replies


@pytest.fixture(params=["sync", "async"])
def all_rows(request, service):
    """All rows that either client gives."""

    def listed(**only):
        with Client(service.url) as client:
            return list(client.audit_rows(**only))

    async def listed_async(**only):
        async with AsyncClient(service.url) as client:
            return [row async for row in client.audit_rows(**only)]

    if request.param == "sync":
        return listed
    return lambda **only: asyncio.run(listed_async(**only))


def test_a_prediction_is_its_row(ask, service, answers):
    answers.append(JSONResponse(ROW))
    row = ask("prediction", PREDICTION)
    assert service.seen[-1].path == f"/api/v1/predictions/{PREDICTION}"
    assert (row.caller.name, row.input.bytes, row.receipt.position) == ("ward", 1234, 8)
    assert row.at == datetime(2026, 11, 30, 12, 0, 0, 123456, UTC)
    assert (row.result["prediction"], row.refusal, row.kept) == ("cancer", None, False)
    assert row.raw["from_a_newer_service"] == 1


def test_a_receipt_has_its_signature(ask, service, answers):
    answers.append(JSONResponse(SIGNED))
    receipt = ask("receipt", PREDICTION)
    assert service.seen[-1].path == f"/api/v1/predictions/{PREDICTION}/receipt"
    assert (receipt.head, receipt.key, receipt.signature) == ("ff66", "ab12", "c2ln")


def test_an_answer_s_receipt_is_signed_where_it_is_asked_for(ask, service):
    for choice, sent in ((True, "yes"), (False, "no"), (None, None)):
        answer = ask("predict", b"cancer 0.9", signed_receipt=choice)
        assert service.seen[-1].headers.get("x-signed-receipt") == sent
    assert answer.receipt is None or answer.receipt.signature is None


def test_anothers_prediction_is_not_found(ask, answers):
    answers.append(problem(404, "prediction_unknown"))
    with pytest.raises(NotFoundError):
        ask("prediction", "../audit")


def test_a_page_is_asked_for_by_values_and_has_the_next_ones_cursor(ask, service, answers):
    answers.append(JSONResponse({"rows": [ROW, REFUSED], "next": "0190a3f2-0002"}))
    since = datetime(2026, 11, 1, tzinfo=UTC)
    page = ask("audit", limit=2, cursor="0190", since=since, outcome="ok", pipeline=None)
    assert service.seen[-1].query == {
        "from": "2026-11-01T00:00:00+00:00",
        "outcome": "ok",
        "limit": "2",
        "cursor": "0190",
    }
    assert [row.event for row in page.rows] == ["prediction", "refusal"]
    assert (page.next, page.rows[1].input) == ("0190a3f2-0002", None)


def test_all_rows_come_one_by_one(all_rows, service, answers):
    answers.append(PlainTextResponse("".join(json.dumps(row) + "\n" for row in (ROW, REFUSED))))
    rows = all_rows(caller="ward")
    assert service.seen[-1].query == {"caller": "ward", "format": "jsonl"}
    assert [row.prediction_id for row in rows] == [PREDICTION, "0190a3f2-0002"]


def test_all_rows_without_the_role_are_refused(all_rows, answers):
    answers.append(problem(403, "forbidden", "credentials: they lack the role audit."))
    with pytest.raises(ForbiddenError, match="role audit"):
        all_rows()


def test_a_stream_that_breaks_is_no_whole_log(all_rows, answers):
    async def broken():
        yield json.dumps(ROW) + "\n"
        raise ConnectionResetError

    answers.append(StreamingResponse(broken()))
    with pytest.raises(TransportError):
        all_rows()


def test_a_line_of_another_shape_is_told(all_rows, answers):
    answers.append(PlainTextResponse('{"event": 1}\n'))
    with pytest.raises(UnexpectedAnswerError, match="answer"):
        all_rows()


def test_the_command_prints_a_prediction_and_its_receipt(command, answers):
    answers += [JSONResponse(ROW), JSONResponse(SIGNED)]
    assert json.loads(command("prediction", PREDICTION).stdout) == ROW
    assert json.loads(command("prediction", PREDICTION, "--receipt").stdout) == SIGNED


def test_the_command_lists_a_page_and_says_how_to_go_on(command, service, answers):
    answers.append(JSONResponse({"rows": [ROW, REFUSED], "next": "0190a3f2-0002"}))
    result = command("audit", "--caller", "ward", "--from", "2026-11-01", "--limit", "2")
    assert service.seen[-1].query == {"from": "2026-11-01T00:00:00", "caller": "ward", "limit": "2"}
    header, first, second = result.stdout.splitlines()
    assert header.split() == [
        *["row", "at", "event", "caller", "pipeline", "release", "outcome", "result"]
    ]
    assert first.split() == [
        *[PREDICTION, "2026-11-30T12:00:00Z", "prediction", "ward", "oral_cancer"],
        *["1-3fa9c2d1", "ok", "cancer"],
    ]
    assert second.split()[-1] == "forbidden"
    assert result.stderr == "more: --cursor 0190a3f2-0002\n"


def test_the_command_prints_json_and_all_rows_as_lines(command, answers):
    page = {"rows": [ROW], "next": None}
    answers += [JSONResponse(page), PlainTextResponse(json.dumps(ROW) + "\n")]
    assert json.loads(command("audit", "--json").stdout) == page
    assert json.loads(command("audit", "--jsonl").stdout) == ROW
    assert command("audit", "--jsonl", "--cursor", "x").exit_code == 2


def test_a_refused_question_ends_the_commands(command, answers):
    answers += [problem(404, "prediction_unknown"), problem(403, "forbidden", "no role audit")]
    result = command("prediction", PREDICTION)
    assert (result.exit_code, "prediction_unknown" in result.stderr) == (2, True)
    result = command("audit")
    assert (result.exit_code, "no role audit" in result.stderr) == (2, True)
