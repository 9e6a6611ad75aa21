"""API keys: stored as SHA-256 only, compared in constant time."""

import hashlib
import hmac
import re
from pathlib import Path
from typing import Self

from gateway.errors import Code, RefusedError
from gateway.identity.principal import OPEN, Principal, Role

SHORTEST = 16
_LINE = re.compile(r"([A-Za-z0-9._-]{1,64}):([0-9a-f]{64})")


class ApiKeysError(ValueError):
    """The file of keys, or a key for it, cannot be used; the text says why."""


def hash_key(name: str, key: str) -> str:
    """The line of the keys file for a key.

    Raises:
        ApiKeysError: the name has other characters than `A-Za-z0-9._-`, or the key is too short
            to withstand guessing.
    """
    if len(key) < SHORTEST:
        raise ApiKeysError(f"the key has {len(key)} characters: take {SHORTEST} or more, at random")
    line = f"{name}:{_digest(key)}"
    if not _LINE.fullmatch(line):
        raise ApiKeysError("the name may have 1 to 64 characters out of A-Za-z0-9._-")
    return line


class ApiKeys:
    """The callers that may send requests; without keys, every caller may."""

    def __init__(self, digests: dict[str, str] | None = None) -> None:
        """Takes the digest of each caller's key by name; None where no keys are configured."""
        self._digests = digests

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads lines `name:sha256`; empty lines and those that start with # are skipped.

        Raises:
            ApiKeysError: no such file, a line of another form, a name twice, or no key at all.
        """
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ApiKeysError(f"{path}: cannot be read: {type(error).__name__}") from None
        digests: dict[str, str] = {}
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            found = _LINE.fullmatch(text)
            if not found:
                raise ApiKeysError(f"{path}:{number}: is not name:sha256 in lower-case hexadecimal")
            if found[1] in digests:
                raise ApiKeysError(
                    f"{path}:{number}: the name {found[1]} is there twice: remove one line"
                )
            digests[found[1]] = found[2]
        if not digests:
            raise ApiKeysError(f"{path}: has no key: python -m gateway --hash-key NAME >> {path}")
        return cls(digests)

    def principal(self, key: str | None) -> Principal:
        """Who a key belongs to; anyone where no keys are configured.

        Raises:
            RefusedError: with `unauthorized` where there is no key, or none that is known.
        """
        if self._digests is None:
            return OPEN
        owner = None if key is None else self._owner(_digest(key))
        if owner is None:
            raise RefusedError(
                Code.UNAUTHORIZED,
                "X-API-Key: missing or not known. Ask the operator for a key.",
                reason="api_key",
            )
        return Principal(owner, "key", owner, frozenset(Role), None)

    def _owner(self, digest: str) -> str | None:
        owner = None
        for name, known in (self._digests or {}).items():
            # No early exit: the time taken must not tell which key came close.
            if hmac.compare_digest(digest, known):
                owner = name
        return owner


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
