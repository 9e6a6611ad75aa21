"""API keys as a gateway checks them: all in memory, read again when they have changed."""

import asyncio
import hmac
import time
from collections.abc import Callable, Sequence

import structlog

from gateway.errors import Code, RefusedError
from gateway.identity.certificates import names_of
from gateway.identity.key_format import ApiKey, digest, legacy_digest_of, pepper_id
from gateway.identity.principal import Principal
from gateway.identity.stored_keys import KeyReader, StoredKey

log = structlog.get_logger("gateway")

POLL_SECONDS = 2.0
"""How often a gateway looks whether keys were changed: a revoked key is refused after it at most,
and the time that the look takes."""
_WHOLE_SECONDS = 60.0
"""How often all are read though nothing says that they changed: after a restored backup, say."""
_SOONEST = 0.5
"""Seconds between two looks, however many unknown keys are sent."""
_PATIENCE = 1.0
"""Seconds that a request with an unknown key waits for such a look at most."""


class ApiKeys:
    """The keys that are let in.

    Whatever is sent, a check asks memory alone; the database is read every two seconds, and once
    more where a key of the right form is unknown, but never twice in half a second. While it cannot
    be read the known keys go on for `stale_seconds`; then nobody is let in.
    """

    def __init__(
        self,
        store: KeyReader,
        pepper: bytes,
        *,
        stale_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Knows no key yet; `watch` reads them.

        Args:
            store: the table.
            pepper: the one under which keys are stored.
            stale_seconds: how old what was read may become.
            clock: seconds, for the age of what was read.
            now: seconds since 1970, for the ends of keys.
        """
        self._store = store
        self._pepper = pepper
        self._stale_seconds = stale_seconds
        self._clock, self._now = clock, now
        self._by_id: dict[str, StoredKey] = {}
        self._legacy: dict[str, StoredKey] = {}
        self._by_certificate: dict[str, StoredKey] = {}
        self._changes: int | None = None
        self._read_at: float | None = None
        self._whole_at = self._looked_at = float("-inf")
        self._failing = False
        self._looking: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    @property
    def age(self) -> float | None:
        """Seconds since the database last said that these are the keys; None before the first."""
        return None if self._read_at is None else self._clock() - self._read_at

    async def watch(self) -> None:
        """Keeps the keys as the database has them, until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(POLL_SECONDS)

    async def look(self) -> None:
        """Looks once whether keys were changed; those who come meanwhile share the look."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(self._looked)
        await asyncio.shield(self._looking)

    async def principal(self, text: str) -> Principal:
        """Who sends a key.

        Raises:
            RefusedError: with `unauthorized`; with `unavailable` where the keys cannot be read.
        """
        key = ApiKey.parse(text)
        found = self._find(key, text)
        if found is None and key is not None:
            # It may have been made a moment ago.
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._look_soon()
            except TimeoutError:
                pass
            found = self._find(key, text)
        return self._let_in([] if found is None else [found])

    def certificate_principal(self, pem: bytes) -> Principal:
        """Who has a client certificate, by the first of its names that is known and active.

        Raises:
            RefusedError: with `unauthorized`; with `unavailable` where the keys cannot be read.
        """
        try:
            names = names_of(pem)
        except Exception:  # noqa: BLE001 - TLS let it in, and it cannot be read
            raise unauthorized() from None
        return self._let_in(
            [self._by_certificate[name] for name in names if name in self._by_certificate]
        )

    def _let_in(self, found: Sequence[StoredKey]) -> Principal:
        if (age := self.age) is None or age > self._stale_seconds:
            raise RefusedError(
                Code.UNAVAILABLE,
                "request: the API keys cannot be read. Try again after the seconds in Retry-After.",
                reason="identity",
            )
        now = int(self._now() * 1_000_000)
        for key in found:
            if key.state(now) == "active":
                return key.principal()
        raise unauthorized()

    async def _look_soon(self) -> None:
        """Looks when it may be done again; all who wait for that share it."""
        if self._next is None:
            self._next = asyncio.create_task(self._look_when_due())
            self._next.add_done_callback(self._was_due)
        await asyncio.shield(self._next)

    async def _look_when_due(self) -> None:
        await asyncio.sleep(max(0.0, self._looked_at + _SOONEST - self._clock()))
        await self.look()

    def _find(self, key: ApiKey | None, text: str) -> StoredKey | None:
        if key is not None:
            found = self._by_id.get(key.id)
            own = digest(self._pepper, text)
            # In constant time: how long it takes must not tell how close a guess came.
            return found if found and hmac.compare_digest(own, found.digest) else None
        if not self._legacy:
            return None
        own_legacy = legacy_digest_of(self._pepper, text)
        return None if own_legacy is None else self._legacy.get(own_legacy)

    async def _look(self) -> None:
        started = self._looked_at = self._clock()
        known = None if started - self._whole_at >= _WHOLE_SECONDS else self._changes
        try:
            read = await asyncio.to_thread(_read, self._store, known)
        except Exception as error:  # noqa: BLE001 - whatever it is, the known keys go on
            if not self._failing:
                log.warning("api keys cannot be read", error=type(error).__name__)
            self._failing = True
            return
        if self._failing:
            log.info("api keys can be read again")
        self._failing, self._read_at = False, started
        if read is not None:
            self._whole_at = started
            self._take(*read)

    def _take(self, changes: int, keys: list[StoredKey]) -> None:
        own = pepper_id(self._pepper)
        if (strange := sum(key.pepper != own for key in keys)) and changes != self._changes:
            log.error("api keys of another pepper are refused: restore its file", keys=strange)
        self._changes = changes
        usable = [key for key in keys if key.pepper == own]
        self._by_id = {key.id: key for key in usable if not key.legacy}
        self._legacy = {key.digest: key for key in usable if key.legacy}
        # Of several rows for one certificate all but one are revoked: the last one counts.
        self._by_certificate = {key.certificate: key for key in usable if key.certificate}

    def _looked(self, _: asyncio.Task[None]) -> None:
        self._looking = None

    def _was_due(self, _: asyncio.Task[None]) -> None:
        self._next = None


def _read(store: KeyReader, known: int | None) -> tuple[int, list[StoredKey]] | None:
    """All keys; None where there was no change since the known count."""
    if known is not None and store.changes() == known:
        return None
    return store.all()


def unauthorized() -> RefusedError:
    """Refuses who has no credentials, or none that are known."""
    return RefusedError(
        Code.UNAUTHORIZED,
        "credentials: missing or not known. Send an API key in X-API-Key; its operator has it.",
        reason="unauthorized",
    )
