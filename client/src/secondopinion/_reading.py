"""Decodes HTTP responses into typed answers."""

from collections.abc import Sequence
from typing import Any, TypeVar

import httpx
import msgspec
from msgspec.structs import replace

from secondopinion._answers import (
    AdvancedPrediction,
    Answer,
    BatchAnswer,
    BatchResult,
    Prediction,
)
from secondopinion._audit import AuditPage, AuditRow
from secondopinion._catalogue import Pipeline, Pipelines
from secondopinion._detections import Detections, DetectionsBatch
from secondopinion._errors import UnexpectedAnswerError, problem_error
from secondopinion._usage import UsageReport

T = TypeVar("T")
OneImage = TypeVar("OneImage", bound=Answer)
ManyImages = TypeVar("ManyImages", bound=BatchAnswer)

# By the key that only answers of the other task have: how to ask for such an answer.
_OTHER_TASK: dict[str, dict[type, str]] = {
    "predictions": {
        Prediction: "a detector; ask it with detect()",
        AdvancedPrediction: "a detector; ask it with detect()",
        BatchResult: "a detector; ask it with detect_batch()",
    },
    "prediction": {
        Detections: "a classifier; ask it with predict()",
        DetectionsBatch: "a classifier; ask it with predict_batch()",
    },
}


def answer(response: httpx.Response, kind: type[OneImage]) -> OneImage:
    """Reads the answer for one image.

    Raises:
        ProblemError: The status is an error.
        UnexpectedAnswerError: The body is not of the documented shape.
    """
    return _answer(_success(response), kind)


def batch(response: httpx.Response, kind: type[ManyImages], names: list[str]) -> ManyImages:
    """Reads the answer of `predict/batch`; `names` are the caller's, in order.

    A problem document that carries results (no image was answered) is a result as well.

    Raises:
        ProblemError: The status is an error, and there are no results.
        UnexpectedAnswerError: The body is not of the documented shape.
    """
    try:
        document = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        document = None
    if not (isinstance(document, dict) and "results" in document):
        document = _success(response)
    read = _answer(document, kind, names)
    items = sorted(read.results, key=lambda item: item.index)
    if [item.index for item in items] != list(range(len(names))):
        raise UnexpectedAnswerError(f"results: the answer has {len(items)} for {len(names)} images")
    return replace(read, results=tuple(items))


def pipeline(response: httpx.Response) -> Pipeline:
    """Reads the answer of `GET /api/v1/pipelines/{name}`; raises as `answer` does."""
    return _typed(_with_raw(_success(response)), Pipeline)


def usage(response: httpx.Response) -> UsageReport:
    """Reads the answer of `GET /api/v1/usage`; raises as `answer` does."""
    return _typed(_with_raw(_success(response)), UsageReport)


def pipelines(response: httpx.Response) -> Pipelines:
    """Reads the answer of `GET /api/v1/pipelines`; raises as `answer` does."""
    document = _success(response)
    listed = document.get("pipelines")
    if isinstance(listed, list):
        document["pipelines"] = [_with_raw(described) for described in listed]
    return _typed(document, Pipelines)


def audit_row(response: httpx.Response) -> AuditRow:
    """Reads the answer of `GET /api/v1/predictions/{id}`; raises as `answer` does."""
    return _typed(_with_raw(_success(response)), AuditRow)


def audit_page(response: httpx.Response) -> AuditPage:
    """Reads the answer of `GET /api/v1/audit`; raises as `answer` does."""
    document = _success(response)
    rows = document.get("rows")
    listed = [_with_raw(row) for row in rows] if isinstance(rows, list) else rows
    return _typed({**document, "rows": listed, "raw": document}, AuditPage)


def audit_line(line: str) -> AuditRow:
    """Reads one line of the audit log as JSON lines; raises UnexpectedAnswerError."""
    try:
        document = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswerError(f"answer: a line is not JSON ({error})") from error
    return _typed(_with_raw(document), AuditRow)


def typed(response: httpx.Response, kind: type[T]) -> T:
    """Reads an answer that is no answer about images; raises as `answer` does."""
    return _typed(_success(response), kind)


def _success(response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise problem_error(response)
    try:
        return msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.ValidationError as error:
        raise UnexpectedAnswerError(f"answer: {error}") from error
    except msgspec.DecodeError as error:
        kind = response.headers.get("Content-Type", "no content type")
        raise UnexpectedAnswerError(f"answer: not JSON ({kind}); check the URL") from error


def _answer(document: dict[str, Any], kind: type[T], names: Sequence[str] = ()) -> T:
    results = document.get("results")
    listed = results if isinstance(results, list) else []
    for part in (document, *listed):
        if isinstance(part, dict) and ("prediction" in part) != ("predictions" in part):
            key = "prediction" if "prediction" in part else "predictions"
            if remedy := _OTHER_TASK[key].get(kind):
                raise UnexpectedAnswerError(f"{document.get('pipeline')} is {remedy}")
    # The advanced answer of a classifier has its members as `models`, with what each one said.
    fields = {"members": document.get("models", {}), **document, "raw": document}
    if listed:
        fields["results"] = [_named(item, names) for item in listed]
    return _typed(fields, kind)


def _named(item: object, names: Sequence[str]) -> object:
    """With the caller's name of the image: the service was sent a neutral one."""
    if not isinstance(item, dict):
        return item
    index: Any = item.get("index")
    sent = isinstance(index, int) and 0 <= index < len(names)
    return {**item, "filename": names[index] if sent else ""}


def _with_raw(document: T) -> T | dict[str, Any]:
    return {**document, "raw": document} if isinstance(document, dict) else document


def _typed(document: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise UnexpectedAnswerError(f"answer: {error}") from error
