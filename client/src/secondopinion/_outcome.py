"""The outcome of one photo: an answer, or the reason why there is none."""

from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from secondopinion._answers import Prediction
from secondopinion._detections import Detections
from secondopinion._errors import (
    ForbiddenError,
    NotFoundError,
    ProblemError,
    SecondOpinionError,
    TransportError,
    UnauthorizedError,
    UnreachableError,
)

Reply = Prediction | Detections
Failure = SecondOpinionError | OSError

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """One photo with its answer or its error."""

    file: Path
    reply: Reply | Failure
    picture: Path | None = None


async def answer_or_failure(request: Awaitable[T]) -> T | Failure:
    """The answer, or the error that concerns this photo alone.

    Raises:
        SecondOpinionError: An error that every other photo would meet too.
    """
    try:
        return await request
    except (SecondOpinionError, OSError) as error:
        if _concerns_every_photo(error):
            raise
        # Their frames hold the photo's bytes, and outcomes may be kept until the end of the run.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        return error


def reason(error: Failure) -> str:
    """The error in one line."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def as_error(error: Failure) -> dict[str, object]:
    """The error as JSON: the service's problem, or a code of the client, and a `detail`."""
    if isinstance(error, ProblemError):
        problem = error.problem
        return {
            "status": problem.status,
            "code": problem.code,
            "title": problem.title,
            "detail": problem.detail,
            "request_id": problem.request_id,
        }
    if isinstance(error, OSError):
        return no_image(reason(error))
    # Codes of the client; the service did not answer, or not as documented.
    code = "no_answer" if isinstance(error, TransportError) else "answer_unexpected"
    return {"code": code, "detail": str(error)}


def no_image(detail: str) -> dict[str, object]:
    """The error, as JSON, of a file that cannot be read or holds no image."""
    return {"code": "file_unreadable", "detail": detail}


def _concerns_every_photo(error: Exception) -> bool:
    if isinstance(error, UnreachableError | UnauthorizedError | ForbiddenError | NotFoundError):
        return True
    return isinstance(error, ProblemError) and error.code in {
        "parameter_invalid",
        "parameter_unknown",
    }
