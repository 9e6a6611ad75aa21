"""Why a photo has no answer, in words and as JSON."""

from secondopinion._asking import Failure
from secondopinion._errors import ProblemError, TransportError


def reason(error: Failure) -> str:
    """In one line."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def as_error(error: Failure) -> dict[str, object]:
    """As an `error` object: the service's problem, or a code of this side, and its `detail`."""
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
        return {"code": "file_unreadable", "detail": reason(error)}
    # Codes of this side, which the service has no chance to give.
    code = "no_answer" if isinstance(error, TransportError) else "answer_unexpected"
    return {"code": code, "detail": str(error)}
