"""Rows of the audit log: what of a request is written down, and what never is.

No image, file name, form field or free text of a caller gets into a row. Of a refused request also
the values of its parameters are left out, as nothing has checked them.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from database.clock import now
from database.own_chain import Row
from gateway.errors import RefusedError
from gateway.results.task_handlers import Form, handler_of
from gateway.telemetry.recorder import Outcome, RequestContext, new_prediction_id
from pipelines.formats import sniff
from pipelines.protocol import NAMED_RELEASE

_DIGITS = 6
"""Of seconds: microseconds."""


class Event(StrEnum):
    """What a row is about."""

    PREDICTION = "prediction"
    """An image that was answered or refused, or a request about images that was refused."""
    REFUSAL = "refusal"
    """Another request that was refused."""
    AUDIT_READ = "audit_read"
    AUDIT_EXPORT = "audit_export"
    FEEDBACK = "feedback"
    COMMENT_DELETED = "comment_deleted"
    IMAGE_READ = "image_read"
    IMAGE_DELETED = "image_deleted"
    RELEASE = "release"
    """A change of which release serves."""


_ABOUT_IMAGES = {*Form, "v2", "grpc"}
"""Routes of requests about images."""


def prediction_row(context: RequestContext, outcome: Outcome, input_digest: str) -> Row:
    """The row of one image that was answered or refused."""
    result = outcome.result
    values: Mapping[str, Any] = outcome.parameters.values
    if context.release is not None:
        values = {**values, NAMED_RELEASE: context.release}
    release = sha256 = refusal = record = compute = None
    if isinstance(result, RefusedError):
        values, refusal = dict.fromkeys(values), str(result.code)
    else:
        release, sha256 = result.pipeline.release, result.pipeline.release_sha256
        record = handler_of(result.pipeline).record(result)
        compute = result.compute
    return {
        **_request(context),
        "id": outcome.prediction_id,
        "event": str(Event.PREDICTION),
        "pipeline": outcome.pipeline,
        "release": release,
        "release_sha256": sha256,
        "input_digest": input_digest,
        "input_bytes": len(outcome.image.data),
        "input_format": sniff(outcome.image.data),
        "parameters": _json(values),
        "result": None if record is None else _json(record),
        "refusal": refusal,
        "stages": _json(_rounded({**context.seconds, "infer": outcome.seconds})),
        "kept": bool(outcome.kept),
        "compute": None if compute is None else _json(compute.as_json()),
        "compute_seconds": None if compute is None else compute.seconds(),
    }


def refusal_row(context: RequestContext, refusal: RefusedError) -> Row:
    """The row of a request that was refused before its images were looked at."""
    return {
        **_request(context),
        "event": str(Event.PREDICTION if context.route in _ABOUT_IMAGES else Event.REFUSAL),
        "pipeline": context.pipeline,
        "refusal": str(refusal.code),
        "stages": _json(_rounded(context.seconds)),
    }


def reading_row(context: RequestContext, event: Event, parameters: Mapping[str, Any]) -> Row:
    """The row of a request that read, or deleted, something; `parameters` say what."""
    row = {"event": str(event), "pipeline": context.pipeline, "parameters": _json(parameters)}
    return {**_request(context), **row}


def feedback_row(
    context: RequestContext, release: str, release_sha256: str | None, result: Mapping[str, Any]
) -> Row:
    """The row of what a person says of a prediction of a release."""
    return {
        **_request(context),
        "event": str(Event.FEEDBACK),
        "pipeline": context.pipeline,
        "release": release,
        "release_sha256": release_sha256,
        "result": _json(result),
    }


def _request(context: RequestContext) -> dict[str, Any]:
    """What is known of every request, and the columns that some rows leave empty."""
    principal = context.principal
    return {
        "id": new_prediction_id(),
        "at": now(),
        "principal_id": principal.id,
        "principal_kind": principal.kind,
        "credential": principal.credential,
        "tenant": principal.name,
        "request_id": context.request_id,
        "transport": context.transport,
        "route": context.route,
        "release": None,
        "release_sha256": None,
        "input_digest": None,
        "input_bytes": None,
        "input_format": None,
        "parameters": "{}",
        "result": None,
        "refusal": None,
        "stages": "{}",
        "compute": None,
        "compute_seconds": None,
        "kept": False,
    }


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in seconds.items()}


def _json(value: Any) -> str:  # noqa: ANN401 - any JSON
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
