"""Encrypts each kept image under a key of its own, and wraps that key by one of the key file's."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_BYTES = 32
_NONCE = 12
# What is encrypted is bound to its purpose and to the id of its prediction, so that neither an
# image nor a key can be put in the place of another.
_IMAGE, _KEY = b"second-opinion:kept-image:1:", b"second-opinion:image-key:1:"


class UnreadableImageError(Exception):
    """A kept image cannot be decrypted; the text says why."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """The key of one image, encrypted by a key of the key file."""

    by: str
    """Id of that key: the first 16 hexadecimal digits of its SHA-256."""
    content: bytes


class ImageKeys:
    """The keys of the key file: the first one wraps, any of them unwraps."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Takes keys of 32 bytes, one at least."""
        self._keys = {_id(key): AESGCM(key) for key in keys}
        self._current = _id(keys[0])

    @property
    def current(self) -> str:
        """Id of the key that wraps."""
        return self._current

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
