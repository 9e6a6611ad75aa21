"""Rows of the audit log as AuditEvent of FHIR R4, in the pattern of IHE's Basic Audit Log Patterns.

Caller and service are agents, the row is an entity, and so is X-Request-ID, as BALP has it. None of
its profiles is claimed: they demand network addresses and the text of queries, which no row has.
"""

from collections.abc import Sequence
from typing import Any

from gateway.audit.reading import AuditRow
from gateway.audit.rows import Event

_Role = tuple[str, str, str]
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_TERMS = "http://terminology.hl7.org/CodeSystem"
_REQUEST_ID = {
    "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
    "code": "XrequestId",
}
_SOURCE = (_DICOM, "110153", "Source Role ID")
_DESTINATION = (_DICOM, "110152", "Destination Role ID")
_ROLES = {
    "read": (_DESTINATION, _SOURCE),
    "delete": (
        (_DICOM, "110150", "Application"),
        (f"{_TERMS}/provenance-participant-type", "custodian", "Custodian"),
    ),
}
"""Of caller and service, by the interaction; of others the caller is the source."""
_SEARCH = "search"
_ACTIONS = {"create": "C", "delete": "D", "read": "R"}
"""Of other interactions it is E, executed."""
_INTERACTIONS = {
    Event.FEEDBACK: "create",
    Event.COMMENT_DELETED: "delete",
    Event.IMAGE_READ: "read",
    Event.IMAGE_DELETED: "delete",
    Event.AUDIT_EXPORT: _SEARCH,
}
"""Of most other events it is an operation."""
_FAULTS = {"internal", "model_output"}
"""Refusals that the caller could not help: a serious failure (8), others a minor one (4)."""


def bundle(rows: Sequence[AuditRow], next_url: str | None) -> dict[str, Any]:
    """A searchset of audit events, with a link to the next page."""
    links = [{"relation": "next", "url": next_url}] if next_url else []
    entries = [
        {"fullUrl": f"urn:uuid:{row['prediction_id']}", "resource": audit_event(row)}
        for row in rows
    ]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        **({"link": links} if links else {}),
        **({"entry": entries} if entries else {}),
    }


def audit_event(row: AuditRow) -> dict[str, Any]:
    """A row as an AuditEvent."""
    interaction = _interaction(row)
    refusal = row["refusal"]
    outcome = "0" if refusal is None else "8" if refusal in _FAULTS else "4"
    return {
        "resourceType": "AuditEvent",
        "id": row["prediction_id"],
        "type": _coding(f"{_TERMS}/audit-event-type", "rest", "RESTful Operation"),
        "subtype": [_coding("http://hl7.org/fhir/restful-interaction", interaction, interaction)],
        "action": _ACTIONS.get(interaction, "E"),
        "recorded": row["at"],
        "outcome": outcome,
        **({} if refusal is None else {"outcomeDesc": refusal}),
        "agent": _agents(row, *_ROLES.get(interaction, (_SOURCE, _DESTINATION))),
        "source": {
            "observer": {"display": row["receipt"]["chain"]},
            "type": [_coding(f"{_TERMS}/security-source-type", "4", "Application Server")],
        },
        "entity": _entities(row),
    }


def _interaction(row: AuditRow) -> str:
    """FHIR's word for what was done."""
    event = Event(row["event"])
    if event is Event.AUDIT_READ:
        return "read" if "prediction_id" in row["parameters"] else _SEARCH
    return _INTERACTIONS.get(event, "operation")


def _agents(row: AuditRow, of_caller: _Role, of_service: _Role) -> list[dict[str, Any]]:
    caller = row["caller"]
    who: dict[str, Any] = {"display": caller["name"] or caller["kind"]}
    if caller["credential"]:
        who["identifier"] = {"value": caller["credential"]}
    return [
        {
            "type": {"coding": [_coding(*of_caller)]},
            "who": who,
            "requestor": True,
        },
        {
            "type": {"coding": [_coding(*of_service)]},
            "who": {"display": "Second Opinion"},
            "requestor": False,
        },
    ]


def _entities(row: AuditRow) -> list[dict[str, Any]]:
    domain = _coding(f"{_TERMS}/object-role", "4", "Domain Resource")
    system_object = _coding(f"{_TERMS}/audit-entity-type", "2", "System Object")
    details = {
        "pipeline": row["pipeline"],
        "release": row["release"],
        "release_sha256": row["release_sha256"],
        "input_digest": row["input"]["digest"] if row["input"] else None,
        "position": str(row["receipt"]["position"]),
        "head": row["receipt"]["head"],
    }
    return [
        {
            "what": {"identifier": {"value": row["prediction_id"]}},
            "type": system_object,
            "role": domain,
            "detail": [
                {"type": name, "valueString": value}
                for name, value in details.items()
                if value is not None
            ],
        },
        {"what": {"identifier": {"value": row["request_id"]}}, "type": _REQUEST_ID},
    ]


def _coding(system: str, code: str, display: str | None = None) -> dict[str, str]:
    found = {"system": system, "code": code}
    return found if display is None else {**found, "display": display}
