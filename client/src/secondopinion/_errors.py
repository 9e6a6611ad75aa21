"""The exceptions of this package.

SecondOpinionError
├── TransportError            nothing came back, or only a part of it
│   ├── UnreachableError      no connection was made; nothing was sent
│   └── AnswerTimeoutError    sent, but not answered in time
├── UnexpectedAnswerError     a success, but not in the documented shape
└── ProblemError              an error status: has status, code, detail, request_id, retry_after
    ├── UnauthorizedError     401: the API key or token
    ├── ForbiddenError        403: what the key or token does not cover
    ├── NotFoundError         404: the pipeline, the member, or the URL
    ├── RefusedError          400, 413, 415, 422: this input; asking again changes nothing
    ├── BusyError             409, 429: still, after the retries
    ├── UnavailableError      503: still, after the retries
    └── DeadlineError         504: the service gave up waiting

A file that cannot be read raises Python's own OSError.
"""

import httpx

from secondopinion._problem import Problem, problem_of


class SecondOpinionError(Exception):
    """The base of all errors of this package."""


class TransportError(SecondOpinionError):
    """The connection failed before a whole answer had arrived.

    Attributes:
        url: Scheme, host and port that were asked.
    """

    def __init__(self, message: str, url: str) -> None:
        super().__init__(message)
        self.url = url


class UnreachableError(TransportError):
    """No connection could be made, so nothing was sent."""


class AnswerTimeoutError(TransportError):
    """The request was sent and not answered within the client's timeout."""


class UnexpectedAnswerError(SecondOpinionError):
    """The service answered, but not as documented; the message names the field."""


class ProblemError(SecondOpinionError):
    """The service answered with an error status.

    Attributes:
        problem: The whole of what it said; its parts are attributes here too.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.status = problem.status
        self.code = problem.code
        self.detail = problem.detail
        self.request_id = problem.request_id
        self.retry_after = problem.retry_after


class UnauthorizedError(ProblemError):
    """The service wants an API key or a token, and not this one."""


class ForbiddenError(ProblemError):
    """The API key or token lacks a role, or does not cover the pipeline."""


class NotFoundError(ProblemError):
    """No such pipeline, member or route."""


class RefusedError(ProblemError):
    """The image or a parameter was refused."""


class BusyError(ProblemError):
    """The service had no room for the request, or still worked on it, also after the retries."""


class UnavailableError(ProblemError):
    """The service or its models were down, also after the retries."""


class DeadlineError(ProblemError):
    """The service did not finish in its own time limit, or the request came too slowly."""


_BY_STATUS: dict[int, type[ProblemError]] = {
    400: RefusedError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    408: DeadlineError,
    409: BusyError,
    413: RefusedError,
    415: RefusedError,
    422: RefusedError,
    429: BusyError,
    503: UnavailableError,
    504: DeadlineError,
}


def problem_error(response: httpx.Response) -> ProblemError:
    """The exception for an answer with an error status."""
    return _BY_STATUS.get(response.status_code, ProblemError)(problem_of(response))


def transport_error(error: httpx.RequestError) -> TransportError:
    """The exception for a request that got no answer."""
    url = f"{error.request.url.scheme}://{error.request.url.netloc.decode('ascii')}"
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return UnreachableError(f"no connection to {url}: {reason}", url)
    if isinstance(error, httpx.TimeoutException):
        return AnswerTimeoutError(f"{url} did not answer in time ({reason})", url)
    return TransportError(f"the connection to {url} broke: {reason}", url)
