"""Problem documents (RFC 9457): the error answers of the service or of a proxy in front of it."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx
from msgspec import DecodeError, Struct, json
from msgspec.structs import replace


class Problem(Struct, frozen=True, kw_only=True):
    """A problem document: why there is no answer.

    Attributes:
        status: HTTP status, 300 to 599.
        type: The code as a URI.
        code: One word of the service's closed set (`image_undecodable`, `busy`, ...); None where
            something else answered, such as a proxy.
        title: What went wrong, in a few words.
        detail: The input it concerns, and the remedy.
        request_id: To find the request in the service's logs; None where none was given.
        retry_after: Seconds to wait before asking again; None where none were named.
    """

    status: int = 0
    type: str | None = None
    code: str | None = None
    title: str = ""
    detail: str = ""
    request_id: str | None = None
    retry_after: float | None = None

    def __str__(self) -> str:
        """The detail, then in brackets the status, the code and the request's id."""
        known = [f"{self.status} {self.code}" if self.code else f"status {self.status}"]
        if self.request_id:
            known.append(f"request {self.request_id}")
        return f"{self.detail or self.title} ({', '.join(known)})"


def problem_of(response: httpx.Response) -> Problem:
    """Reads an error answer; a body that is no problem document never raises."""
    phrase = _phrase(response.status_code)
    try:
        said = json.decode(response.content, type=Problem)
    except DecodeError:
        said = Problem()
    if said.code is None:
        kind = response.headers.get("Content-Type", "no content type")
        said = Problem(
            detail=f"{phrase}, and no problem document ({kind}): is a proxy answering in place of "
            "the service?"
        )
    return replace(
        said,
        status=response.status_code,
        title=said.title or phrase,
        request_id=said.request_id or response.headers.get("X-Request-ID"),
        retry_after=retry_after(response),
    )


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that `Retry-After` asks to wait (a number or an HTTP date), never negative."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"
