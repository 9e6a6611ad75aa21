"""The form of an API key: `so_<id>_<secret><checksum>`."""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from typing import Self

_LETTERS = string.digits + string.ascii_letters
_ID_LETTERS = string.digits + string.ascii_lowercase
_ID, _SECRET, _CHECKSUM = 12, 43, 6
"""Characters; 43 letters out of 62 hold 256 bits, 6 hold a CRC-32."""
_FORM = re.compile(rf"so_([0-9a-z]{{{_ID}}})_[0-9A-Za-z]{{{_SECRET}}}([0-9A-Za-z]{{{_CHECKSUM}}})")
_LONGEST = 4096
PREFIX = "so_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as its owner sends it. Its text is a secret: only its digest is stored."""

    id: str
    """Not secret: it is in lists, log lines and rows."""
    text: str = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """A key with 256 random bits."""
        key_id = _random(_ID_LETTERS, _ID)
        return cls(key_id, _with_checksum(f"{PREFIX}{key_id}_{_random(_LETTERS, _SECRET)}"))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The key that a text is; None where it has another form or a wrong checksum.

        The checksum is no secret. It finds mistyped keys without a look-up, and lets scanners tell
        a leaked key from a text that looks like one.
        """
        found = _FORM.fullmatch(text)
        if found is None or _with_checksum(text[:-_CHECKSUM]) != text:
            return None
        return cls(found[1], text)


def digest(pepper: bytes, text: str) -> str:
    """What is stored of a key: HMAC-SHA256 under the pepper, in hexadecimal."""
    return hmac.digest(pepper, text.encode("utf-8", "surrogateescape"), "sha256").hex()


def legacy_digest(pepper: bytes, sha256: str) -> str:
    """What is stored of a key of the old keys file, which had the key's SHA-256."""
    return digest(pepper, f"sha256:{sha256}")


def legacy_digest_of(pepper: bytes, text: str) -> str | None:
    """The same, of a key as it is sent; None for a text that is too long to be a key."""
    if len(text) > _LONGEST:
        return None
    sha256 = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return legacy_digest(pepper, sha256)


def pepper_id(pepper: bytes) -> str:
    """Tells digests of one pepper from those of another; nothing of the pepper follows from it."""
    return digest(pepper, "the id of this pepper")[:16]


def new_id() -> str:
    """An id as keys have it, for one that has none in its text."""
    return _random(_ID_LETTERS, _ID)


def _random(letters: str, count: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(count))


def _with_checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode("ascii")), ""
    for _ in range(_CHECKSUM):
        number, rest = divmod(number, len(_LETTERS))
        digits = _LETTERS[rest] + digits
    return text + digits
