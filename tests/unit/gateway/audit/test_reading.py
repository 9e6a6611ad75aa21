"""Who reads what of the audit log, in which form; and that reading it is a row itself."""

import json

import jsonschema
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from typer.testing import CliRunner

from database.chain import Receipt, is_signed
from gateway.commands.command_line import app
from gateway.identity.principal import Role
from tests.unit.gateway.samples import JPEG, RAW, assert_problem

pytestmark = pytest.mark.anyio


async def ask(http, key, path="/api/v1/predict", **more):
    headers = {**RAW, "x-api-key": key, **more}
    return (await http.post(path, content=JPEG, headers=headers)).json()


async def read(http, key, path, **query):
    return await http.get(path, headers={"x-api-key": key}, params=query)


@pytest.fixture
async def http(start):
    return await start(auth="required")


async def test_a_caller_reads_its_own_prediction_as_it_was_written(http, new_key, audit_rows):
    key = new_key("ward")
    answer = await ask(http, key, "/api/v1/predict/advanced?threshold=0.6")
    response = await read(http, key, f"/api/v1/predictions/{answer['prediction_id']}")
    assert response.status_code == 200, response.text
    row = response.json()
    assert (row["receipt"], row["release"]) == (answer["receipt"], answer["release"])
    assert row["result"]["prediction"] == answer["prediction"]
    assert (row["parameters"], row["caller"]["name"]) == ({"threshold": "0.6"}, "ward")
    assert row["compute"].keys() >= {"decode", "decision"}
    written = audit_rows()[-1]
    assert (written.event, written.tenant) == ("audit_read", "ward")
    assert json.loads(written.parameters) == {"prediction_id": answer["prediction_id"]}
    assert written.pipeline == "oral_cancer"


async def test_anothers_prediction_is_as_if_there_were_none(http, new_key, audit_rows):
    answer = await ask(http, new_key("ward"))
    path = f"/api/v1/predictions/{answer['prediction_id']}"
    other = new_key("lab")
    for each in (path, f"{path}/receipt", "/api/v1/predictions/none"):
        assert_problem(await read(http, other, each), 404, "prediction_unknown")
    auditor = new_key("auditor", roles=[Role.AUDIT])
    assert (await read(http, auditor, path)).json()["caller"]["name"] == "ward"
    elsewhere = new_key("auditor-of-mhist", roles=[Role.AUDIT], pipelines=["mhist"])
    assert_problem(await read(http, elsewhere, path), 403, "forbidden")
    assert_problem(await http.get(path), 401, "unauthorized")


async def test_the_log_needs_the_role_audit(http, new_key):
    for role in (Role.PREDICT, Role.FEEDBACK, Role.OPERATE):
        refused = await read(http, new_key("x", roles=[role]), "/api/v1/audit")
        assert_problem(refused, 403, "forbidden")
    elsewhere = new_key("y", roles=[Role.AUDIT], pipelines=["mhist"])
    await ask(http, new_key("ward"))
    assert (await read(http, elsewhere, "/api/v1/audit")).json()["rows"] == []
    refused = await read(http, elsewhere, "/api/v1/audit", pipeline="oral_cancer")
    assert_problem(refused, 403, "forbidden")


async def test_pages_have_each_row_once_the_newest_first(http, new_key, audit_rows):
    key, auditor = new_key("ward"), new_key("auditor", roles=[Role.AUDIT])
    ids = [(await ask(http, key))["prediction_id"] for _ in range(5)]
    found, query = [], {"event": "prediction", "limit": 2}
    while True:
        page = (await read(http, auditor, "/api/v1/audit", **query)).json()
        found += [row["prediction_id"] for row in page["rows"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == ids[::-1]
    readings = [row for row in audit_rows() if row.event == "audit_read"]
    assert len(readings) == 3
    said = {"filters": ["event", "cursor"], "limit": 2}
    assert json.loads(readings[-1].parameters) == said


async def test_filters_choose_rows(http, new_key, audit_rows):
    ward, lab = new_key("ward"), new_key("lab")
    auditor = new_key("auditor", roles=[Role.AUDIT])
    first = await ask(http, ward, **{"x-request-id": "mine"})
    await ask(http, lab)
    await http.post("/api/v1/predict", content=b"text", headers={**RAW, "x-api-key": lab})
    at = {row.id: row.at for row in audit_rows()}[first["prediction_id"]]

    async def count(**query):
        response = await read(http, auditor, "/api/v1/audit", event="prediction", **query)
        assert response.status_code == 200, response.text
        return len(response.json()["rows"])

    assert await count() == 3
    assert await count(caller="ward") == 1
    assert await count(outcome="ok") == 2
    assert await count(outcome="image_format", caller="lab") == 1
    assert await count(request_id="mine") == 1
    assert await count(pipeline="oral_cancer") == 3
    assert await count(release=first["release"]) == 2
    assert await count(release="other") == 0
    assert await count(to="2020-01-01") == 0
    assert await count(**{"from": "2020-01-01T00:00:00Z"}) == 3
    assert at > 0


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"from": "soon"}, {"format": "xml"}, {"a": 1}],
    ids=str,
)
async def test_what_is_no_question_is_refused(http, new_key, query):
    auditor = new_key("auditor", roles=[Role.AUDIT])
    assert_problem(await read(http, auditor, "/api/v1/audit", **query), 422, "parameter_invalid")


async def test_lines_have_all_rows_and_are_an_export(http, new_key, audit_rows, monkeypatch):
    monkeypatch.setattr("gateway.audit.reading._PAGE", 2)
    key, auditor = new_key("ward"), new_key("auditor", roles=[Role.AUDIT])
    ids = [(await ask(http, key))["prediction_id"] for _ in range(5)]
    response = await read(http, auditor, "/api/v1/audit", format="jsonl", event="prediction")
    assert response.headers["content-type"].startswith("application/jsonl")
    rows = [json.loads(line) for line in response.text.splitlines()]
    assert [row["prediction_id"] for row in rows] == ids[::-1]
    assert audit_rows()[-1].event == "audit_export"
    assert all(key not in response.text for key in (key, auditor))


async def test_a_signed_receipt_is_of_this_service(http, new_key, tmp_path):
    key = new_key("ward")
    answer = await ask(http, key)
    path = f"/api/v1/predictions/{answer['prediction_id']}/receipt"
    signed = (await read(http, key, path)).json()
    pem = CliRunner().invoke(app, ["audit", "public-key"]).stdout
    receipt = Receipt(signed["chain"], signed["position"], signed["head"])
    assert receipt.as_json() == answer["receipt"]
    said = signed["statement"], receipt, signed["at"], signed["signature"]
    assert said[0] == "receipt"
    assert is_signed(load_pem_public_key(pem.encode()), *said)
    (tmp_path / "receipt.json").write_text(json.dumps(signed))
    words = ["audit", "verify", "--receipt", str(tmp_path / "receipt.json")]
    assert CliRunner().invoke(app, words).exit_code == 0


CODING = {
    "type": "object",
    "required": ["system", "code"],
    "properties": {
        "system": {"type": "string", "format": "uri"},
        "code": {"type": "string", "pattern": r"^[^\s]+( [^\s]+)*$"},
        "display": {"type": "string", "minLength": 1},
    },
    "additionalProperties": False,
}
REFERENCE = {
    "type": "object",
    "minProperties": 1,
    "properties": {
        "display": {"type": "string", "minLength": 1},
        "identifier": {
            "type": "object",
            "required": ["value"],
            "properties": {"value": {"type": "string", "minLength": 1}},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}
AGENT = {
    "type": "object",
    "required": ["requestor", "who", "type"],
    "properties": {
        "type": {"properties": {"coding": {"type": "array", "items": CODING, "minItems": 1}}},
        "who": REFERENCE,
        "requestor": {"type": "boolean"},
    },
    "additionalProperties": False,
}
DETAIL = {
    "type": "object",
    "required": ["type", "valueString"],
    "properties": {
        "type": {"type": "string", "minLength": 1},
        "valueString": {"type": "string", "minLength": 1},
    },
    "additionalProperties": False,
}
ENTITY = {
    "type": "object",
    "properties": {
        "what": REFERENCE,
        "type": CODING,
        "role": CODING,
        "detail": {"type": "array", "items": DETAIL, "minItems": 1},
    },
    "additionalProperties": False,
}
INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"
AUDIT_EVENT = {
    # What FHIR R4 demands of an AuditEvent, and allows of the elements that are used.
    "type": "object",
    "required": ["resourceType", "type", "recorded", "agent", "source"],
    "properties": {
        "resourceType": {"const": "AuditEvent"},
        "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
        "type": CODING,
        "subtype": {"type": "array", "items": CODING, "minItems": 1},
        "action": {"enum": ["C", "R", "U", "D", "E"]},
        "recorded": {"type": "string", "pattern": INSTANT},
        "outcome": {"enum": ["0", "4", "8", "12"]},
        "outcomeDesc": {"type": "string", "minLength": 1},
        "agent": {"type": "array", "items": AGENT, "minItems": 1},
        "source": {
            "type": "object",
            "required": ["observer"],
            "properties": {
                "observer": REFERENCE,
                "type": {"type": "array", "items": CODING, "minItems": 1},
            },
            "additionalProperties": False,
        },
        "entity": {"type": "array", "items": ENTITY, "minItems": 1},
    },
    "additionalProperties": False,
}


async def test_fhir_is_a_bundle_of_audit_events(http, new_key):
    key, auditor = new_key("ward"), new_key("auditor", roles=[Role.AUDIT])
    answer = await ask(http, key, **{"x-request-id": "ward-7"})
    await http.post("/api/v1/predict", content=b"text", headers={**RAW, "x-api-key": key})
    await read(http, auditor, "/api/v1/audit")
    response = await read(http, auditor, "/api/v1/audit", format="fhir", limit=3)
    assert response.headers["content-type"] == "application/fhir+json"
    found = response.json()
    assert (found["resourceType"], found["type"]) == ("Bundle", "searchset")
    events = [entry["resource"] for entry in found["entry"]]
    for entry, event in zip(found["entry"], events, strict=True):
        jsonschema.validate(event, AUDIT_EVENT)
        assert entry["fullUrl"] == f"urn:uuid:{event['id']}"
    reading, listing, refused = events
    assert [event["action"] for event in events] == ["E", "E", "E"]
    assert (refused["outcome"], refused["outcomeDesc"]) == ("4", "image_format")
    assert reading["outcome"] == listing["outcome"] == "0"
    (link,) = found["link"]
    (last,) = (await http.get(link["url"], headers={"x-api-key": auditor})).json()["entry"]
    event = last["resource"]
    jsonschema.validate(event, AUDIT_EVENT)
    assert event["id"] == answer["prediction_id"]
    client, server = event["agent"]
    assert (client["who"]["display"], client["requestor"]) == ("ward", True)
    assert client["type"]["coding"][0]["code"] == "110153"
    assert server["type"]["coding"][0]["code"] == "110152"
    what, request = event["entity"]
    details = {each["type"]: each["valueString"] for each in what["detail"]}
    assert (details["release"], details["head"]) == (answer["release"], answer["receipt"]["head"])
    assert request["what"]["identifier"]["value"] == "ward-7"
    assert request["type"]["code"] == "XrequestId"
    assert key not in response.text
