"""Asking an issuer of tokens over HTTP: at the address that is configured, without redirects."""

import ssl
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

_TIMEOUT = 5.0
LARGEST = 1024 * 1024
"""Bytes of an answer."""


class IssuerError(Exception):
    """An issuer that does not answer as it should; the text says why."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        """Notes why, and whether the issuer has answered that the request is wrong."""
        super().__init__(reason)
        self.refused = refused


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0917 - as the standard library calls it
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Follows none: what is asked, and sent, goes to the host that is configured."""


def ask(request: Request | str) -> bytes:
    """What an address answers; it may take some seconds.

    Raises:
        IssuerError: no answer, another status than 200, or more than a MiB.
    """
    opener = build_opener(_NoRedirects, HTTPSHandler(context=ssl.create_default_context()))
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            content: bytes = answer.read(LARGEST + 1)
    except HTTPError as error:
        with error:
            raise IssuerError(f"status {error.code}", refused=error.code in {400, 401}) from None
    except (OSError, HTTPException, ValueError) as error:
        raise IssuerError(type(error).__name__) from None
    if len(content) > LARGEST:
        raise IssuerError("it has more than a MiB")
    return content
