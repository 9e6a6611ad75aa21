"""Idempotency keys: of requests with one key one is answered; the others get that answer again."""

import hashlib
import hmac
import json
import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from database.clock import now
from database.tables import idempotency as table
from gateway.errors import RETRY_AFTER_SECONDS, Code, RefusedError, status_of

HEADER = "idempotency-key"
"""Of a request, also in the metadata of a gRPC call."""
REPLAYED = "idempotency-replayed"
"""Of an answer that was stored: `true`."""
ANSWER_BYTES = 8 * 1024 * 1024
"""Largest answer that is stored, after compression."""
_KEY_CHARACTERS = 255
_NONCE_BYTES = 12
_CLAIM_BYTES = 16
RENEWAL_SECONDS = 3.0
"""How often the claims of requests under way are renewed."""
_LEASE_SECONDS = 10.0
"""How long a claim lasts without renewal: so long a gateway that died blocks its keys. Clocks of
gateways may differ by some seconds."""
_REMOVED_AT_A_TIME = 1000
_ATTEMPTS = 3
_FIRST_SERVER_ERROR = 500
# Made once: making a statement costs more than a database of this machine takes for it.
_CLAIM = {
    dialect: insert(table).on_conflict_do_nothing().returning(table.c.claim)
    for dialect, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_STORE = (
    update(table)
    .where(table.c.id == bindparam("row"), table.c.claim == bindparam("token"))
    .values(answer=bindparam("sealed"), expires_at=bindparam("until"))
)
T = TypeVar("T")


class Writes(Protocol):
    """Runs functions of a connection: the gateway's audit log, or in tests any other."""

    async def run(self, function: Callable[[Connection], T]) -> T:
        """What the function returns; what it wrote is committed.

        Raises:
            RefusedError: nothing can be written now.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as its transport sends it."""

    status: str
    """An HTTP status; over gRPC `OK`, or `refused`: the content is then the refusal's text."""
    headers: Mapping[str, str]
    content: bytes
    refusal: Code | None = None
    """Of a request that was refused."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a key is of: another caller's, or of another route or pipeline, is another key."""

    principal: str
    route: str
    pipeline: str
    key: str

    def digest(self, pepper: bytes, label: bytes) -> bytes:
        """32 bytes, of which nobody learns the key who has not the pepper."""
        parts = (self.principal, self.route, self.pipeline, self.key)
        return keyed_digest(pepper, (label, *(part.encode() for part in parts)))


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer a key, as long as it is renewed."""

    id: bytes
    """The scope's."""
    token: bytes
    """Who has the claim: random."""
    cipher: AESGCM = field(repr=False)
    """Of the answer. Its key is made from the caller's, which is stored nowhere."""
    kept_seconds: float

    def store(self, connection: Connection, answer: Answer) -> bool:
        """Stores the answer; or frees the key where the answer is too large.

        Returns:
            Whether it is stored.

        Raises:
            RefusedError: the claim is another request's by now, as this one was not renewed.
        """
        sealed = self._sealed(answer)
        if len(sealed) > ANSWER_BYTES:
            self.release(connection)
            return False
        expires = now() + _microseconds(self.kept_seconds)
        own = {"row": self.id, "token": self.token, "sealed": sealed, "until": expires}
        written = connection.execute(_STORE, own)
        if written.rowcount != 1:
            raise _in_flight()
        return True

    def release(self, connection: Connection) -> None:
        """Frees the key: the next request with it is answered anew."""
        connection.execute(
            delete(table).where(
                table.c.id == self.id, table.c.claim == self.token, table.c.answer.is_(None)
            )
        )

    def _sealed(self, answer: Answer) -> bytes:
        said = {"status": answer.status, "headers": answer.headers, "refusal": answer.refusal}
        head = json.dumps(said).encode()
        plain = zlib.compress(head + b"\n" + answer.content, level=1)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self.cipher.encrypt(nonce, plain, self.id)


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Claims keys in the database, which several gateways may share."""

    writes: Writes
    pepper: bytes = field(repr=False)
    kept_seconds: float
    """How long an answer is kept."""
    _held: dict[bytes, float] = field(default_factory=dict)
    """Tokens of claims that are being worked on, and when each was taken."""

    async def claim(self, scope: Scope, asked: bytes) -> Claim | Answer:
        """The right to answer, or the answer that is stored.

        Whoever gets the right ends it by `end`, whatever came of it.

        Args:
            scope: the caller's key.
            asked: digest of all that the answer depends on.

        Raises:
            RefusedError: another request has the key, or one that has not been answered yet; or
                the database cannot be written.
        """
        identity = scope.digest(self.pepper, b"scope")
        cipher = AESGCM(scope.digest(self.pepper, b"answer"))
        claim = Claim(identity, secrets.token_bytes(_CLAIM_BYTES), cipher, self.kept_seconds)
        row = await self.writes.run(lambda connection: _take(connection, claim, asked))
        if row is None:
            self._held[claim.token] = time.monotonic()
            return claim
        if not hmac.compare_digest(row.asked, asked):
            raise RefusedError(
                Code.IDEMPOTENCY_MISMATCH,
                "Idempotency-Key: another image or other parameters were sent with it before. "
                "Send a new key with each request.",
            )
        if row.answer is None:
            raise _in_flight()
        return _opened(row.answer, claim)

    async def end(self, claim: Claim, *, answered: bool) -> None:
        """Ends a claim; frees its key where there is no answer.

        Raises:
            RefusedError: the database cannot be written: the claim ends by itself.
        """
        self._held.pop(claim.token, None)
        if not answered:
            await self.writes.run(claim.release)

    async def renew(self) -> None:
        """Renews the claims of requests that take longer than others.

        Raises:
            RefusedError: the database cannot be written.
        """
        old = time.monotonic() - RENEWAL_SECONDS
        if tokens := [token for token, since in self._held.items() if since < old]:
            await self.writes.run(lambda connection: _renew(connection, tokens))

    async def remove_expired(self) -> int:
        """Removes answers whose time is over, and claims of requests that never ended.

        Returns:
            How many were removed.

        Raises:
            RefusedError: the database cannot be written.
        """
        removed = count = await self.writes.run(_remove_expired)
        while count == _REMOVED_AT_A_TIME:
            count = await self.writes.run(_remove_expired)
            removed += count
        return removed


def read_key(sent: Iterable[str]) -> str | None:
    """The key of a request, with or without the quotes that the header's draft has around it.

    Args:
        sent: the values of all headers of the name.

    Raises:
        RefusedError: there are several, or one that is empty, too long or not of ASCII.
    """
    values = list(sent)
    if not values:
        return None
    key = values[0].strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if len(values) > 1 or not 0 < len(key) <= _KEY_CHARACTERS or not _printable(key):
        raise RefusedError(
            Code.PARAMETER_INVALID,
            f"Idempotency-Key: it must be given once, with 1 to {_KEY_CHARACTERS} printable "
            "characters of ASCII. Send a UUID.",
        )
    return key


def is_final(code: Code) -> bool:
    """Whether a refusal is stored: asking again would bring it again."""
    return status_of(code) < _FIRST_SERVER_ERROR and code not in RETRY_AFTER_SECONDS


def keyed_digest(pepper: bytes, parts: Iterable[bytes]) -> bytes:
    """HMAC-SHA256 of parts, each with its length before it."""
    made = hmac.new(pepper, digestmod=hashlib.sha256)
    for part in parts:
        made.update(len(part).to_bytes(8, "big"))
        made.update(part)
    return made.digest()


@dataclass(frozen=True, slots=True)
class _Row:
    asked: bytes
    answer: bytes | None


def _take(connection: Connection, claim: Claim, asked: bytes) -> _Row | None:
    """Claims the key; returns what is known of it where another request has it."""
    for _ in range(_ATTEMPTS):
        at, until = now(), _lease()
        values = {"asked": asked, "claim": claim.token, "expires_at": until, "answer": None}
        statement = _CLAIM[connection.dialect.name]
        if connection.scalar(statement, {"id": claim.id, **values}) is not None:
            return None
        row = connection.execute(select(table).where(table.c.id == claim.id)).one_or_none()
        if row is None:
            # Removed in between.
            continue
        if row.expires_at > at:
            return _Row(row.asked, row.answer)
        expired = table.c.id == claim.id, table.c.claim == row.claim
        if connection.execute(update(table).where(*expired).values(values)).rowcount == 1:
            return None
    return _Row(asked, None)


def _renew(connection: Connection, tokens: Sequence[bytes]) -> None:
    mine = table.c.claim.in_(tokens), table.c.answer.is_(None)
    connection.execute(update(table).where(*mine).values(expires_at=_lease()))


def _opened(sealed: bytes, claim: Claim) -> Answer:
    nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        plain = zlib.decompress(claim.cipher.decrypt(nonce, text, claim.id))
    except InvalidTag:
        raise RefusedError(
            Code.INTERNAL,
            "Idempotency-Key: the answer that was stored is damaged. Send the image with a new "
            "key, and report the request_id to the operator.",
        ) from None
    head, _, content = plain.partition(b"\n")
    said = json.loads(head)
    refusal = None if said["refusal"] is None else Code(said["refusal"])
    return Answer(said["status"], said["headers"], content, refusal)


def _remove_expired(connection: Connection) -> int:
    some = select(table.c.id).where(table.c.expires_at <= now()).limit(_REMOVED_AT_A_TIME)
    return connection.execute(delete(table).where(table.c.id.in_(some))).rowcount


def _in_flight() -> RefusedError:
    return RefusedError(
        Code.IDEMPOTENCY_IN_FLIGHT,
        "Idempotency-Key: a request with it is not answered yet. Send it again after the seconds "
        "in Retry-After.",
    )


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _lease() -> int:
    return now() + _microseconds(_LEASE_SECONDS)


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)
