"""Makes API keys in the database, revokes and rotates them. Each change is one transaction."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, insert, select, update

from database.clock import now
from database.tables import api_key_changes, api_keys
from gateway.identity.key_format import ApiKey, digest, legacy_digest, new_id, pepper_id
from gateway.identity.principal import Role
from gateway.identity.stored_keys import ApiKeyError, Grant, KeyReader, StoredKey, stored

_MICROSECONDS = 1_000_000
_LEGACY_LINE = re.compile(r"([A-Za-z0-9._-]{1,64}):([0-9a-f]{64})")


class KeyStore(KeyReader):
    """Changes the table of keys, too. Each change raises the count of changes."""

    def create(
        self, grant: Grant, pepper: bytes, *, key: ApiKey, seconds: int | None = None
    ) -> StoredKey:
        """Stores a new key, which ends after so many seconds, or never.

        Raises:
            ApiKeyError: a part of the grant has a wrong form.
        """
        grant.check()
        at = now()
        made = StoredKey(
            id=key.id,
            line=key.id,
            grant=grant,
            digest=digest(pepper, key.text),
            legacy=False,
            pepper=pepper_id(pepper),
            created_at=at,
            expires_at=_after(at, seconds),
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
        at = now()
        made = StoredKey(
            id=key_id,
            line=key_id,
            grant=grant,
            # Of no text that a caller could send.
            digest=digest(pepper, f"certificate:{key_id}"),
            legacy=False,
            pepper=pepper_id(pepper),
            created_at=at,
            expires_at=_after(at, seconds),
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
            revoked = replace(found, revoked_at=now())
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
        at = now()
        with self._engine.begin() as connection:
            _count_change(connection)
            old = _find(connection, key_id)
            if (state := old.state(at)) != "active":
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
                seconds = (old.expires_at - old.created_at) // _MICROSECONDS
            new = replace(
                old,
                id=key.id,
                digest=digest(pepper, key.text),
                legacy=False,
                pepper=pepper_id(pepper),
                created_at=at,
                expires_at=_after(at, seconds),
            )
            ends = at + overlap_seconds * _MICROSECONDS
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
        at, made = now(), []
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
                    created_at=at,
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
    return stored(row)


def _after(at: int, seconds: int | None) -> int | None:
    return None if seconds is None else at + seconds * _MICROSECONDS
