"""The outcome of one attempt to send a study, over HTTP or gRPC."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from loadtest.prediction import Prediction, UnusableAnswerError, answered

REFUSED, UNAVAILABLE = HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Reply:
    """Predictions, one a photo, or why there are none.

    `fault` has a status and a code, never what an answer says about an image.
    """

    predictions: tuple[Prediction, ...] = ()
    fault: str = ""
    refused: bool = False
    """Shed: the service says that it is busy."""
    repeatable: bool = False
    """Asking again may help, and does no harm."""
    retry_after: float | None = None
    """Seconds the service asks to wait."""


def unreachable(error: Exception) -> Reply:
    """No answer at all. An inference changes nothing, so it may be asked again."""
    return Reply(fault=f"no answer ({type(error).__name__})", repeatable=True)


def read_http(
    status: int, retry_after: str | None, body: bytes, pipeline: str, photos: int | None
) -> Reply:
    """Reads an answer over HTTP; `photos` is how many a batch had, None for a single photo."""
    if status != HTTPStatus.OK:
        return Reply(
            fault=f"{status} {_code(body)}".rstrip(),
            refused=status == REFUSED,
            repeatable=status in {REFUSED, UNAVAILABLE},
            retry_after=seconds(retry_after),
        )
    try:
        answer = answered(json.loads(body), pipeline)
        predictions = (Prediction.of_answer(answer),) if photos is None else _batch(answer, photos)
    except (ValueError, UnusableAnswerError) as error:
        fault = str(error) if isinstance(error, UnusableAnswerError) else "the answer is no JSON"
        return Reply(fault=fault)
    return Reply(predictions)


def _batch(answer: Mapping[str, object], photos: int) -> tuple[Prediction, ...]:
    results = answer.get("results")
    if not isinstance(results, list) or len(results) != photos:
        raise UnusableAnswerError(f"the batch has not {photos} results")
    return tuple(Prediction.of_answer(result) for result in results)


def _code(body: bytes) -> str:
    try:
        return str(json.loads(body)["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def seconds(retry_after: str | None) -> float | None:
    """What `Retry-After` asks for, where it is a number of seconds."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else None
