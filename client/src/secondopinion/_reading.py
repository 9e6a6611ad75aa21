"""From an HTTP response to a typed answer, or the exception that says why there is none."""

from typing import Any, TypedDict

import httpx

from secondopinion._answers import (
    AdvancedPrediction,
    Member,
    Opinion,
    Prediction,
    Uncertainty,
)
from secondopinion._errors import UnexpectedAnswerError, problem_error
from secondopinion._fields import Fields


def body_of(response: httpx.Response) -> Fields:
    """The JSON object of a success.

    Raises:
        ProblemError: The status is an error.
        UnexpectedAnswerError: The body is no JSON object.
    """
    if not response.is_success:
        raise problem_error(response)
    try:
        return Fields(response.json(), "answer")
    except ValueError as error:
        kind = response.headers.get("Content-Type", "no content type")
        raise UnexpectedAnswerError(f"answer: no JSON ({kind}); is the URL right?") from error


def prediction(response: httpx.Response) -> Prediction:
    """Reads the answer of `predict`."""
    body = _classified(response)
    return Prediction(**_decision(body), **common(body))


def advanced(response: httpx.Response) -> AdvancedPrediction:
    """Reads the answer of `predict/advanced`."""
    body = _classified(response)
    return AdvancedPrediction(
        uncertainty=uncertainty(body.object("uncertainty")),
        models={name: _opinion(model) for name, model in body.objects("models").items()},
        **_decision(body),
        **common(body),
    )


def _classified(response: httpx.Response) -> Fields:
    body = body_of(response)
    if "prediction" not in body.raw and "predictions" in body.raw:
        raise UnexpectedAnswerError(
            f"{body.raw.get('pipeline')} answers with detections; ask it with detect()"
        )
    return body


class _Decision(TypedDict):
    prediction: str
    confidence: float
    probabilities: dict[str, float]


def _decision(body: Fields) -> _Decision:
    return {
        "prediction": body.text("prediction"),
        "confidence": body.number("confidence"),
        "probabilities": body.numbers("probabilities"),
    }


class Common(TypedDict):
    """The fields of an `Answer`."""

    request_id: str
    pipeline: str
    release: str
    threshold: float | None
    preprocessing: str | None
    weights: str | None
    processing_time_ms: float | None
    members: dict[str, Member]
    member: str | None
    raw: dict[str, Any]


def common(body: Fields) -> Common:
    """Reads what every answer carries."""
    return {
        "request_id": body.text("request_id"),
        "pipeline": body.text("pipeline"),
        "release": body.text("release"),
        "threshold": body.number_or_none("threshold"),
        "preprocessing": body.text_or_none("preprocessing"),
        "weights": body.text_or_none("weights"),
        "processing_time_ms": body.number_or_none("processing_time_ms"),
        # The advanced answer of a classifier has them as `models`, with what each one said.
        "members": _members(body, "members") or _members(body, "models"),
        "member": body.text_or_none("member"),
        "raw": body.raw,
    }


def _members(body: Fields, key: str) -> dict[str, Member]:
    return {name: _member(member) for name, member in body.objects(key).items()}


def _member(member: Fields) -> Member:
    return Member(version=member.text_or_none("version"), sha256=member.text_or_none("sha256"))


def uncertainty(fields: Fields) -> Uncertainty:
    """Reads how far an answer can be leaned on."""
    return Uncertainty(
        level=fields.text("level"),
        disagreement=fields.number("disagreement"),
        entropy=fields.number_or_none("entropy"),
        recommendation=fields.text_or_none("recommendation") or "",
    )


def _opinion(model: Fields) -> Opinion:
    return Opinion(
        prediction=model.text("prediction"),
        confidence=model.number("confidence"),
        probabilities=model.numbers("probabilities"),
        weight=model.number_or_none("weight"),
        version=model.text_or_none("version"),
        sha256=model.text_or_none("sha256"),
    )
