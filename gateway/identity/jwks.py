"""An issuer's public keys (JWKS): fetched in the background, kept while the issuer is away."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from gateway.identity.issuer_http import LARGEST, IssuerError, ask

log = structlog.get_logger("gateway")

URL_SECONDS, FILE_SECONDS = 300.0, 5.0
"""How often the keys are read again."""
UNKNOWN_SECONDS = 30.0
"""Seconds between two readings that keys of unknown ids make happen."""
_PATIENCE = 2.0
"""Seconds that a request with a key of an unknown id waits for such a reading."""


class JwksError(ValueError):
    """Public keys that cannot be had or read; the text says why."""


def read_url(url: str) -> bytes:
    """What an address answers.

    Raises:
        JwksError: no answer, another status than 200, or more than a MiB.
    """
    try:
        return ask(url)
    except IssuerError as error:
        raise JwksError(str(error)) from None


def read_file(path: str) -> bytes:
    """A file's content.

    Raises:
        JwksError: it cannot be read, or has more than a MiB.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise JwksError(type(error).__name__) from None
    if len(content) > LARGEST:
        raise JwksError("it has more than a MiB")
    return content


def parse(content: bytes, algorithms: frozenset[str]) -> dict[tuple[str | None, str], PyJWK]:
    """The keys that signatures may be checked with, by their id and algorithm.

    Those of other uses and kinds are left out; one that does not name its algorithm is there for
    each that it can be used with.

    Raises:
        JwksError: there is none, or the content is no set of keys.
    """
    try:
        entries = json.loads(content)["keys"]
        usable = [entry for entry in entries if _may_be_used(entry)]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise JwksError("it is no set of keys in JSON") from None
    keys: dict[tuple[str | None, str], PyJWK] = {}
    for entry in usable:
        for algorithm in algorithms & {entry.get("alg") or name for name in algorithms}:
            try:
                key = PyJWK(entry, algorithm)
            except (PyJWTError, ValueError, TypeError, KeyError):
                continue
            keys.setdefault((entry.get("kid"), algorithm), key)
    if not keys:
        raise JwksError("it has no key for the accepted algorithms")
    return keys


class Jwks:
    """The keys as they were last read. Readings happen in a thread, one at a time."""

    def __init__(
        self,
        read: Callable[[], bytes],
        algorithms: frozenset[str],
        *,
        every_seconds: float,
        stale_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Knows no key yet; `watch` reads them.

        Args:
            read: gives the set in JSON, or raises JwksError; it may block.
            algorithms: those that are accepted.
            every_seconds: how often `watch` reads.
            stale_seconds: how old what was read may become.
            clock: seconds.
        """
        self._read, self._algorithms = read, algorithms
        self._every, self._stale_seconds = every_seconds, stale_seconds
        self._clock = clock
        self._keys: dict[tuple[str | None, str], PyJWK] = {}
        self._ids: set[str | None] = set()
        self._read_at: float | None = None
        self._tried_at = float("-inf")
        self._failing = False
        self._reading: asyncio.Task[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether there are keys, and not too old ones."""
        return self._read_at is not None and self._clock() - self._read_at <= self._stale_seconds

    async def watch(self) -> None:
        """Keeps the keys as their issuer has them, until it is cancelled."""
        while True:
            await self.refresh()
            # Until there are keys nobody is let in: then it is tried sooner.
            await asyncio.sleep(self._every if self._read_at is not None else FILE_SECONDS)

    async def refresh(self) -> None:
        """Reads the keys once; those who come meanwhile share it."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._refresh())
            self._reading.add_done_callback(self._done)
        await asyncio.shield(self._reading)

    async def find(self, kid: str | None, algorithm: str) -> PyJWK | None:
        """The key of an id for an algorithm; None where there is none.

        An id that is not known makes the keys be read again, at most once in 30 s. Without an id
        the only key is meant, where there is only one.
        """
        if kid not in self._ids and self._may_read():
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self.refresh()
            except TimeoutError:
                pass
        if kid is None and len(self._ids) == 1:
            (kid,) = self._ids
        return self._keys.get((kid, algorithm))

    def _may_read(self) -> bool:
        return self._reading is not None or self._clock() - self._tried_at >= UNKNOWN_SECONDS

    async def _refresh(self) -> None:
        started = self._tried_at = self._clock()
        try:
            keys = parse(await asyncio.to_thread(self._read), self._algorithms)
        except Exception as error:  # noqa: BLE001 - whatever it is, the known keys go on
            if not self._failing:
                reason = str(error) if isinstance(error, JwksError) else type(error).__name__
                log.warning("public keys of tokens cannot be read", reason=reason)
            self._failing = True
            return
        if self._failing:
            log.info("public keys of tokens can be read again")
        self._failing, self._read_at = False, started
        self._keys, self._ids = keys, {kid for kid, _ in keys}

    def _done(self, _: asyncio.Task[None]) -> None:
        self._reading = None


def _may_be_used(entry: object) -> bool:
    """Whether an entry has the form of a public key for signatures.

    A private or a shared key is not one to publish, and not one to trust.
    """
    if not isinstance(entry, dict) or "d" in entry or entry.get("kty") == "oct":
        return False
    texts = all(isinstance(entry.get(name), str | None) for name in ("kid", "alg", "kty"))
    return texts and entry.get("use", "sig") == "sig"
