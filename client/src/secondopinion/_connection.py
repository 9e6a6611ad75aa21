"""The service URL, API key and time-outs of a client, from arguments and the environment."""

import os
import ssl
from importlib.metadata import version
from ipaddress import ip_address
from typing import TypedDict

import httpx

from secondopinion._tls import TlsFiles

DEFAULT_URL = "http://127.0.0.1:8080"
URL_VARIABLE = "SECONDOPINION_URL"
KEY_VARIABLE = "SECONDOPINION_API_KEY"
TOKEN_VARIABLE = "SECONDOPINION_TOKEN"  # noqa: S105 - its name
ANSWER_SECONDS = 75.0  # a prediction may take 60 s, and its upload some more
CONNECT_SECONDS = 5.0

__version__ = version("secondopinion")


class Connection(TypedDict):
    """Arguments of `httpx.Client` and `httpx.AsyncClient`."""

    base_url: str
    headers: dict[str, str]
    timeout: httpx.Timeout
    trust_env: bool
    verify: ssl.SSLContext | bool


def connection(
    url: str | None, timeout: float, *, api_key: str | None, token: str | None, tls: TlsFiles
) -> Connection:
    """Settings of the HTTP client.

    A key or a token that is given goes before those of the environment, where a key goes first.

    Raises:
        ValueError: The URL is none, a key and a token are given, one cannot be sent in a header, or
            a file for TLS cannot be used.
    """
    base = url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
    try:
        parsed = httpx.URL(base)
    except httpx.InvalidURL as error:
        raise ValueError(f"{base!r} is not a URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError(f"{base!r} is not the URL of a service; write it like {DEFAULT_URL}")
    headers = {"User-Agent": f"secondopinion/{__version__}", "Accept": "application/json"}
    headers |= _credentials(api_key, token)
    return {
        "base_url": base,
        "headers": headers,
        # No limit on waiting for a free connection: that wait is the caller's own concurrency.
        "timeout": httpx.Timeout(timeout, connect=CONNECT_SECONDS, pool=None),
        # A proxy named in the environment can never reach this machine's own loopback.
        "trust_env": not _is_loopback(parsed.host),
        "verify": tls.context(),
    }


def _credentials(api_key: str | None, token: str | None) -> dict[str, str]:
    if api_key and token:
        raise ValueError("an API key and a token are given: give one of them")
    if not (api_key or token):
        api_key = os.environ.get(KEY_VARIABLE)
        token = None if api_key else os.environ.get(TOKEN_VARIABLE)
    for name, value in (("API key", api_key), ("token", token)):
        # Said here, without the value: httpx would fail later and quote it.
        if value and not (value.isascii() and value.isprintable()):
            raise ValueError(f"the {name} has characters that an HTTP header must not contain")
    if api_key:
        return {"X-API-Key": api_key}
    return {"Authorization": f"Bearer {token}"} if token else {}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
