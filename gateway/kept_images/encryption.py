"""Encrypts each kept image under a key of its own, and wraps that key by one of the key file's."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_BYTES = 32
_NONCE = 12
_LINE = re.compile(rf"[0-9a-f]{{{2 * _BYTES}}}")
# What is encrypted is bound to its purpose and to the id of its prediction, so that neither an
# image nor a key can be put in the place of another.
_IMAGE, _KEY = b"second-opinion:kept-image:1:", b"second-opinion:image-key:1:"


class ImageKeysError(ValueError):
    """The key file cannot be used; the text says why."""


class UnreadableImageError(Exception):
    """A kept image cannot be decrypted; the text says why."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """The key of one image, encrypted by a key of the key file."""

    by: str
    """Id of that key: the first 16 hexadecimal digits of its SHA-256."""
    content: bytes


def new_key() -> str:
    """A key as a line of the key file: 64 hexadecimal digits."""
    return secrets.token_hex(_BYTES)


class ImageKeys:
    """The keys of the key file: the first one wraps, any of them unwraps."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {_id(key): AESGCM(key) for key in keys}
        self._current = _id(keys[0])

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file of one key a line, 64 hexadecimal digits each.

        Raises:
            ImageKeysError: no such file, no key in it, or a line of another form.
        """
        try:
            lines = path.read_text("ascii").split()
        except (OSError, UnicodeDecodeError) as error:
            raise ImageKeysError(f"{path}: cannot be read: {type(error).__name__}") from None
        if not lines or not all(map(_LINE.fullmatch, lines)):
            raise ImageKeysError(
                f"{path}: has no keys of 64 hexadecimal digits, one a line: make one with "
                f"python -c 'import secrets; print(secrets.token_hex({_BYTES}))'"
            )
        return cls([bytes.fromhex(line) for line in lines])

    def encrypt(self, image: bytes, name: str) -> tuple[bytes, WrappedKey]:
        """Encrypts an image by AES-256-GCM under a new key.

        Args:
            image: any bytes.
            name: the id of its prediction; needed again to decrypt.
        """
        key = AESGCM.generate_key(8 * _BYTES)
        return _encrypt(AESGCM(key), image, _IMAGE, name), self._wrap(key, name)

    def decrypt(self, content: bytes, wrapped: WrappedKey, name: str) -> bytes:
        """The image.

        Raises:
            UnreadableImageError: the key file lacks the key, or image, key or name was changed.
        """
        return _decrypt(AESGCM(self._unwrap(wrapped, name)), content, _IMAGE, name)

    def rewrap(self, wrapped: WrappedKey, name: str) -> WrappedKey:
        """The same image's key, wrapped by the first key of the file.

        Raises:
            UnreadableImageError: the key file lacks the key, or key or name was changed.
        """
        return self._wrap(self._unwrap(wrapped, name), name)

    def _wrap(self, key: bytes, name: str) -> WrappedKey:
        return WrappedKey(self._current, _encrypt(self._keys[self._current], key, _KEY, name))

    def _unwrap(self, wrapped: WrappedKey, name: str) -> bytes:
        if (key := self._keys.get(wrapped.by)) is None:
            raise UnreadableImageError(f"the key file has no key with the id {wrapped.by}")
        return _decrypt(key, wrapped.content, _KEY, name)


def _id(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:16]


def _encrypt(cipher: AESGCM, content: bytes, purpose: bytes, name: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + cipher.encrypt(nonce, content, purpose + name.encode())


def _decrypt(cipher: AESGCM, content: bytes, purpose: bytes, name: str) -> bytes:
    try:
        return cipher.decrypt(content[:_NONCE], content[_NONCE:], purpose + name.encode())
    except (InvalidTag, ValueError):
        raise UnreadableImageError("image or key is not what was kept") from None
