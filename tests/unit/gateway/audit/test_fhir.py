"""Rows as AuditEvent, held against what IHE's Basic Audit Log Patterns 1.1 demand of each kind.

Two demands are not met, as no row has what they ask for: network addresses of the agents, and the
text of a query. So no event claims a profile.
"""

import jsonschema
import pytest

from gateway.audit import fhir
from gateway.audit.rows import Event
from tests.unit.gateway.audit.test_reading import AUDIT_EVENT

ROW = {
    "prediction_id": "0190a3f2-7c1e-7000-8000-00000000000a",
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
    "parameters": {},
    "result": {"prediction": "cancer"},
    "refusal": None,
    "stages": {},
    "compute": None,
    "compute_seconds": None,
    "kept": False,
    "receipt": {"chain": "gateway-1", "position": 8, "head": "ff66"},
    "previous": "ee55",
}
ONE = {"prediction_id": ROW["prediction_id"]}
# By the profile's name: event and parameters, interaction, action, roles of client and server.
SENT, READ, DELETED = ("110153", "110152"), ("110152", "110153"), ("110150", "custodian")
NAMES = {
    "110153": "Source Role ID",
    "110152": "Destination Role ID",
    "110150": "Application",
    "custodian": "Custodian",
}
PATTERNS = {
    "Create": [("feedback", {}, "create", "C", SENT)],
    "Read": [("image_read", ONE, "read", "R", READ), ("audit_read", ONE, "read", "R", READ)],
    "Delete": [
        ("image_deleted", ONE, "delete", "D", DELETED),
        ("comment_deleted", ONE, "delete", "D", DELETED),
    ],
    "Query": [
        ("audit_read", {"filters": ["caller"], "limit": 100}, "search", "E", SENT),
        ("audit_export", {"filters": []}, "search", "E", SENT),
    ],
    None: [
        ("prediction", {}, "operation", "E", SENT),
        ("refusal", {}, "operation", "E", SENT),
        ("release", {"action": "promote"}, "operation", "E", SENT),
    ],
}
CASES = [each for cases in PATTERNS.values() for each in cases]


def codes(concepts):
    return [(each["system"], each["code"], each.get("display")) for each in concepts]


def test_each_event_of_the_log_is_one_of_a_pattern():
    assert {event for event, *_ in CASES} == set(Event)


@pytest.mark.parametrize(("event", "parameters", "interaction", "action", "roles"), CASES)
def test_an_event_is_as_its_pattern_says(event, parameters, interaction, action, roles):
    made = fhir.audit_event(ROW | {"event": event, "parameters": parameters})
    jsonschema.validate(made, AUDIT_EVENT)
    assert codes([made["type"]])[0][:2] == (
        "http://terminology.hl7.org/CodeSystem/audit-event-type",
        "rest",
    )
    # The patterns fix the display, too.
    assert codes(made["subtype"]) == [
        ("http://hl7.org/fhir/restful-interaction", interaction, interaction)
    ]
    assert (made["action"], made["outcome"]) == (action, "0")
    client, server = made["agent"]
    found = [each["type"]["coding"][0] for each in (client, server)]
    assert [each["code"] for each in found] == list(roles)
    assert [each["display"] for each in found] == [NAMES[role] for role in roles]
    assert (client["requestor"], server["requestor"]) == (True, False)
    assert client["who"] == {"display": "ward", "identifier": {"value": "k1"}}
    data, transaction = made["entity"]
    assert (data["type"]["code"], data["role"]["code"]) == ("2", "4")
    assert data["what"]["identifier"]["value"] == ROW["prediction_id"]
    assert transaction["type"] == {
        "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
        "code": "XrequestId",
    }
    assert transaction["what"]["identifier"]["value"] == "5f0c"


def test_no_profile_is_claimed_whose_demands_are_not_met():
    made = fhir.audit_event(ROW)
    assert "meta" not in made
    assert not any("network" in agent for agent in made["agent"])


@pytest.mark.parametrize(("refusal", "outcome"), [("image_format", "4"), ("internal", "8")])
def test_a_refusal_is_a_failure_with_its_code(refusal, outcome):
    made = fhir.audit_event(ROW | {"refusal": refusal})
    assert (made["outcome"], made["outcomeDesc"]) == (outcome, refusal)
