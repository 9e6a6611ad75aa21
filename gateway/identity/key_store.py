"""The API keys in the database: made, listed, revoked, rotated, and read by gateways."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, insert, select, update

from database.engine import reading
from database.tables import api_key_changes, api_keys
from gateway.identity.key_format import ApiKey, digest, legacy_digest, new_id, pepper_id
from gateway.identity.principal import Principal, Role

MICROSECONDS = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_RATE = re.compile(r"[1-9][0-9]{0,8}/(s|min|h|day)")
_BUDGET = re.compile(r"(?=.*[1-9])[0-9]{1,12}(\.[0-9]{1,2})?[A-Z]{3}/month")
_LEGACY_LINE = re.compile(r"([A-Za-z0-9._-]{1,64}):([0-9a-f]{64})")


class ApiKeyError(ValueError):
    """A key that cannot be made, found or changed as asked; the text names the remedy."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key allows, and to whom."""

    name: str
    roles: frozenset[Role]
    pipelines: frozenset[str] | None = None
    """None is all, also those that come later."""
    rate: str | None = None
    budget: str | None = None

    def check(self) -> None:
        """Checks a grant that is to be stored; one that is stored is taken as it is.

        Raises:
            ApiKeyError: a part has a wrong form.
        """
        if not _NAME.fullmatch(self.name):
            raise ApiKeyError("name: it may have 1 to 64 characters out of A-Za-z0-9._-")
        if not self.roles:
            raise ApiKeyError(f"role: name one or more out of {', '.join(Role)}")
        if self.pipelines is not None and not all(map(_NAME.fullmatch, self.pipelines)):
            raise ApiKeyError("pipeline: it may have 1 to 64 characters out of A-Za-z0-9._-")
        if self.rate is not None and not _RATE.fullmatch(self.rate):
            raise ApiKeyError("rate: write a number of requests and s, min, h or day, as in 60/min")
        if self.budget is not None and not _BUDGET.fullmatch(self.budget):
            raise ApiKeyError("budget: write an amount, a currency and month, as in 20EUR/month")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the database has it: without its text. Times are UTC, in microseconds since 1970."""

    id: str
    line: str
    """The id of the first key of those that followed each other by rotation."""
    grant: Grant
    digest: str
    legacy: bool
    """Whether it came from the keys file of older versions: any text, found by its digest."""
    pepper: str
    """Id of the pepper under which the digest was made."""
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    certificate: str | None = None
    """Name of the client certificate that the row stands for; such a key has no text."""

    def state(self, now: int) -> str:
        """`active`, `expired` or `revoked` at a time."""
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and self.expires_at <= now
        return "expired" if expired else "active"

    def principal(self) -> Principal:
        """Who sends the key."""
        return Principal(
            id=f"key:{self.line}",
            kind="key" if self.certificate is None else "certificate",
            name=self.grant.name,
            roles=self.grant.roles,
            pipelines=self.grant.pipelines,
            credential=self.id,
            rate=self.grant.rate,
            budget=self.grant.budget,
        )


class KeyStore:
    """The table of keys. Each change is one transaction, and raises the count of changes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def changes(self) -> int:
        """How many changes there were: as long as it is the same, so are the keys."""
        with reading(self._engine).connect() as connection:
            return _changes(connection)

    def all(self) -> tuple[int, list[StoredKey]]:
        """The count of changes, and all keys as they were then; the first made is the first."""
        with reading(self._engine).connect() as connection:
            # The count first: a change that comes between is seen the next time.
            changes = _changes(connection)
            query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
            return changes, [_stored(row) for row in connection.execute(query).mappings()]

    def create(
        self, grant: Grant, pepper: bytes, *, key: ApiKey, seconds: int | None = None
    ) -> StoredKey:
        """Stores a new key, which ends after so many seconds, or never.

        Raises:
            ApiKeyError: a part of the grant has a wrong form.
        """
        grant.check()
        now = _now()
        made = StoredKey(
            id=key.id,
            line=key.id,
            grant=grant,
            digest=digest(pepper, key.text),
            legacy=False,
            pepper=pepper_id(pepper),
            created_at=now,
            expires_at=_after(now, seconds),
        )
        with self._engine.begin() as connection:
            _count_change(connection)
            _insert(connection, made)
        return made

    def create_for_certificate(
        self,
        grant: Grant,
        pepper: bytes,
        *,
        key_id: str,
        certificate: str,
        seconds: int | None = None,
    ) -> StoredKey:
        """Stores that a client certificate of a name is a caller, for so many seconds or for ever.

        Raises:
            ApiKeyError: a part of the grant has a wrong form, or another row that is not revoked
                stands for the certificate.
        """
        grant.check()
        now = _now()
        made = StoredKey(
            id=key_id,
            line=key_id,
            grant=grant,
            # Of no text that a caller could send.
            digest=digest(pepper, f"certificate:{key_id}"),
            legacy=False,
            pepper=pepper_id(pepper),
            created_at=now,
            expires_at=_after(now, seconds),
            certificate=certificate,
        )
        with self._engine.begin() as connection:
            _count_change(connection)
            same = select(api_keys.c.id).where(
                api_keys.c.certificate == certificate, api_keys.c.revoked_at.is_(None)
            )
            if (other := connection.scalar(same)) is not None:
                raise ApiKeyError(f"certificate: {other} stands for it. Revoke that one first")
            _insert(connection, made)
        return made

    def revoke(self, key_id: str) -> StoredKey:
        """Ends a key now, for good.

        Raises:
            ApiKeyError: there is no such key. One that was revoked before stays so.
        """
        with self._engine.begin() as connection:
            _count_change(connection)
            found = _find(connection, key_id)
            if found.revoked_at is not None:
                return found
            revoked = replace(found, revoked_at=_now())
            _update(connection, key_id, revoked_at=revoked.revoked_at)
        return revoked

    def rotate(
        self,
        key_id: str,
        pepper: bytes,
        *,
        key: ApiKey,
        overlap_seconds: int,
        seconds: int | None = None,
    ) -> tuple[StoredKey, StoredKey]:
        """Stores a new key of the same owner, roles and limits; the old one ends after a time.

        Args:
            key_id: the old key.
            pepper: for the new digest.
            key: the new key.
            overlap_seconds: how long both are valid.
            seconds: how long the new one is valid; None for as long as the old one was from its
                making on, or for ever where that had no end.

        Returns:
            the new key, and the old one with its end.

        Raises:
            ApiKeyError: there is no such key, it is over, or it was rotated before.
        """
        now = _now()
        with self._engine.begin() as connection:
            _count_change(connection)
            old = _find(connection, key_id)
            if (state := old.state(now)) != "active":
                raise ApiKeyError(f"{key_id}: it is {state}. Create a new key")
            if old.certificate is not None:
                raise ApiKeyError(
                    f"{key_id}: it stands for a certificate. Create one for the new certificate"
                )
            newer = select(api_keys.c.id).where(
                api_keys.c.line == old.line,
                api_keys.c.created_at > old.created_at,
                api_keys.c.revoked_at.is_(None),
            )
            if (successor := connection.scalar(newer)) is not None:
                raise ApiKeyError(f"{key_id}: it was rotated to {successor}. Rotate that one")
            if seconds is None and old.expires_at is not None:
                seconds = (old.expires_at - old.created_at) // MICROSECONDS
            new = replace(
                old,
                id=key.id,
                digest=digest(pepper, key.text),
                legacy=False,
                pepper=pepper_id(pepper),
                created_at=now,
                expires_at=_after(now, seconds),
            )
            ends = now + overlap_seconds * MICROSECONDS
            old = replace(old, expires_at=min(ends, old.expires_at or ends))
            _update(connection, key_id, expires_at=old.expires_at)
            _insert(connection, new)
        return new, old

    def import_lines(
        self, lines: Iterable[str], pepper: bytes, roles: dict[str, frozenset[Role]]
    ) -> tuple[list[StoredKey], int]:
        """Takes the keys of an old keys file over: lines `name:sha256`, empty ones and comments.

        Args:
            lines: the file's.
            pepper: for the digests of their digests.
            roles: of the names that have others than `predict`.

        Returns:
            the keys that are new, and how many were there already.

        Raises:
            ApiKeyError: a line has another form, a name is unknown or there twice, or no key is
                there. Then nothing is taken over.
        """
        sent = _legacy_lines(lines)
        if unknown := roles.keys() - sent.keys():
            raise ApiKeyError(f"{min(unknown)}: the file has no key of this name")
        now, made = _now(), []
        with self._engine.begin() as connection:
            _count_change(connection)
            there = set(connection.scalars(select(api_keys.c.digest)))
            for name, sha256 in sent.items():
                key_id = new_id()
                key = StoredKey(
                    id=key_id,
                    line=key_id,
                    grant=Grant(name, roles.get(name, frozenset({Role.PREDICT}))),
                    digest=legacy_digest(pepper, sha256),
                    legacy=True,
                    pepper=pepper_id(pepper),
                    created_at=now,
                )
                if key.digest not in there:
                    _insert(connection, key)
                    made.append(key)
        return made, len(sent) - len(made)


def _legacy_lines(lines: Iterable[str]) -> dict[str, str]:
    digests: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if not (found := _LEGACY_LINE.fullmatch(text)):
            raise ApiKeyError(f"line {number}: it is not name:sha256 in lower-case hexadecimal")
        if found[1] in digests:
            raise ApiKeyError(f"line {number}: the name {found[1]} is there twice: remove one line")
        digests[found[1]] = found[2]
    if not digests:
        raise ApiKeyError("there is no key in the file: create one with `keys create`")
    return digests


def _changes(connection: Connection) -> int:
    found: int = connection.execute(select(api_key_changes.c.count)).scalar_one()
    return found


def _count_change(connection: Connection) -> None:
    """The row's lock also makes that changes follow one after the other."""
    connection.execute(update(api_key_changes).values(count=api_key_changes.c.count + 1))


def _insert(connection: Connection, key: StoredKey) -> None:
    grant = key.grant
    pipelines = None if grant.pipelines is None else " ".join(sorted(grant.pipelines))
    connection.execute(
        insert(api_keys).values(
            id=key.id,
            line=key.line,
            name=grant.name,
            roles=" ".join(sorted(grant.roles)),
            pipelines=pipelines,
            rate=grant.rate,
            budget=grant.budget,
            digest=key.digest,
            legacy=key.legacy,
            pepper=key.pepper,
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            certificate=key.certificate,
        )
    )


def _update(connection: Connection, key_id: str, **values: Any) -> None:  # noqa: ANN401 - columns
    connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(values))


def _find(connection: Connection, key_id: str) -> StoredKey:
    query = select(api_keys).where(api_keys.c.id == key_id)
    if (row := connection.execute(query).mappings().one_or_none()) is None:
        raise ApiKeyError(f"there is no key of the id {key_id!r}: `keys list` has all ids")
    return _stored(row)


def _stored(row: RowMapping) -> StoredKey:
    pipelines = row["pipelines"]
    return StoredKey(
        id=row["id"],
        line=row["line"],
        grant=Grant(
            name=row["name"],
            # A role of a newer release gives nothing here.
            roles=frozenset(role for role in Role if role in row["roles"].split()),
            pipelines=None if pipelines is None else frozenset(pipelines.split()),
            rate=row["rate"],
            budget=row["budget"],
        ),
        digest=row["digest"],
        legacy=row["legacy"],
        pepper=row["pepper"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        certificate=row["certificate"],
    )


def _now() -> int:
    return time.time_ns() // 1000


def _after(now: int, seconds: int | None) -> int | None:
    return None if seconds is None else now + seconds * MICROSECONDS
