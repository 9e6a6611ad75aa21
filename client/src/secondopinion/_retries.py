"""Which requests are sent again and after what pause, for both clients."""

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from uuid import uuid4

import httpx

from secondopinion._errors import transport_error
from secondopinion._problem import retry_after
from secondopinion._request import Request

_WORTH_REPEATING = {429, 503}
_IN_FLIGHT = 409
"""An earlier attempt with the same key has not been answered yet."""
_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
_NO_ANSWER = (*_NOTHING_SENT, httpx.NetworkError, httpx.RemoteProtocolError)


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How often, and for how long, a request is sent again.

    Sent again are requests that were answered with 429 or 503, and those whose connection could
    not be made: in each case the service has done nothing. A request about images has an
    idempotency key, the same in all its attempts; so it is also sent again where the connection
    broke before the answer came, and the service then gives the answer that it has. Without a key
    (a request for a picture) what was sent and got no answer is never sent again; nor is what was
    not answered within the client's timeout.

    Attributes:
        attempts: Requests sent at most, the first included; 1 turns retries off.
        total_seconds: No attempt starts later than this after the first.
        first_delay: Upper limit of the first wait, in seconds; it doubles with each attempt. The
            wait is drawn evenly between 0 and the limit, so that callers refused together do not
            come back together. `Retry-After` takes its place where the service sends one.
        longest_delay: Where the doubling ends, in seconds.
    """

    attempts: int = 6
    total_seconds: float = 60.0
    first_delay: float = 0.5
    longest_delay: float = 8.0

    def __post_init__(self) -> None:
        """Refuses settings under which nothing would be sent."""
        if self.attempts < 1:
            raise ValueError(f"attempts: {self.attempts}; at least 1 is needed")


@dataclass(frozen=True)
class Wait:
    """Wait before the next attempt."""

    seconds: float


Reply = httpx.Response | httpx.RequestError
Steps = Generator[Request | Wait, Reply, httpx.Response]


def with_retries(
    request: Request,
    retries: Retries,
    *,
    clock: Callable[[], float] = time.monotonic,
    chance: Callable[[], float] = random.random,
) -> Steps:
    """Yields requests and waits; returns the last response, whatever its status.

    Send back the response or the error for a `Request`; for a `Wait` just go on.

    Raises:
        TransportError: The last attempt got no answer.
    """
    if request.once_by_key and retries.attempts > 1:
        request = replace(request, idempotency_key=uuid4().hex)
    end = clock() + retries.total_seconds
    for attempt in range(1, retries.attempts + 1):
        reply = yield request
        limit = min(retries.longest_delay, retries.first_delay * 2 ** (attempt - 1))
        wait = _asked_wait(reply)
        seconds = chance() * limit if wait is None else wait
        last = attempt == retries.attempts or clock() + seconds > end
        if last or not _repeatable(request, reply):
            break
        yield Wait(seconds)
    if isinstance(reply, httpx.RequestError):
        raise transport_error(reply) from reply
    return reply


def _repeatable(request: Request, reply: Reply) -> bool:
    keyed = request.idempotency_key is not None
    if isinstance(reply, httpx.Response):
        status = reply.status_code
        return status in _WORTH_REPEATING or (keyed and status == _IN_FLIGHT)
    return isinstance(reply, _NO_ANSWER if keyed else _NOTHING_SENT)


def _asked_wait(reply: Reply) -> float | None:
    return retry_after(reply) if isinstance(reply, httpx.Response) else None
