"""The rows of the service's audit log, as types."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from msgspec import Struct

from secondopinion._answers import Receipt, Received


class AuditFilter(TypedDict, total=False):
    """Only rows with these values are listed.

    Attributes:
        since: From this moment on; UTC unless it says another zone.
        until: Before this moment; likewise.
        event: `prediction`, `refusal`, `feedback`, `audit_read` and so on.
        caller: The owner's name.
        outcome: `ok`, or the problem's code.
        request_id: As of an answer.
    """

    since: datetime | None
    until: datetime | None
    event: str | None
    caller: str | None
    pipeline: str | None
    release: str | None
    outcome: str | None
    request_id: str | None


class AuditCaller(Struct, frozen=True, kw_only=True):
    """Who sent a request.

    Attributes:
        id: Stays the same when a key is rotated; empty without credentials.
        kind: `key`, `token`, `certificate`, or `open`.
        credential: Id of the key, or of the token; never the credential.
        name: The owner.
    """

    id: str
    kind: str
    credential: str
    name: str


class AuditInput(Struct, frozen=True, kw_only=True):
    """The image of a row: a digest of its encoded bytes by a key of the service, and their number.

    Attributes:
        format: Such as `jpeg`; None where it is none that is read.
    """

    digest: str
    bytes: int
    format: str | None = None


class AuditRow(Received, frozen=True, kw_only=True):
    """A row of the audit log: an image that was answered or refused, or another event.

    Attributes:
        prediction_id: Of the row; of a prediction as its answer has it.
        at: When the row was made.
        transport: `http`, `kserve` or `grpc`.
        release: None where none answered, as `release_sha256` of its file.
        input: None of what is not about an image.
        parameters: Of the request; of one that was refused without their values.
        result: All that the answer could say; None where there was none.
        refusal: The problem's code.
        stages: Seconds by part of the work.
        compute: Seconds and device by part; None where there was no answer.
        kept: Whether the image was kept, by consent.
        receipt: Where the row is in the log.
        previous: `head` of the row before.
    """

    prediction_id: str
    event: str
    at: datetime
    caller: AuditCaller
    request_id: str
    transport: str
    route: str
    pipeline: str
    release: str | None = None
    release_sha256: str | None = None
    input: AuditInput | None = None
    parameters: Mapping[str, Any] = {}
    result: Mapping[str, Any] | None = None
    refusal: str | None = None
    stages: Mapping[str, float] = {}
    compute: Mapping[str, Any] | None = None
    compute_seconds: float | None = None
    kept: bool
    receipt: Receipt
    previous: str


class AuditPage(Received, frozen=True, kw_only=True):
    """Rows, the newest first; `next` is the `cursor` of the next page, None on the last one."""

    rows: tuple[AuditRow, ...]
    next: str | None = None


def query(only: AuditFilter) -> dict[str, str]:
    """The query of a filter."""
    asked = dict(only)
    times = {"from": asked.pop("since", None), "to": asked.pop("until", None)}
    found = {name: str(value) for name, value in asked.items() if value is not None}
    return found | {name: at.isoformat() for name, at in times.items() if isinstance(at, datetime)}
