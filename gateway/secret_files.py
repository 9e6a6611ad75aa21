"""The gateway's secrets, each a file: the pepper of digests, the keys of receipts and images."""

import os
import secrets
import uuid
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

_BYTES = 32
INIT = "python -m gateway secrets init"


class SecretName(StrEnum):
    """The secrets by the names of their files."""

    PEPPER = "pepper"
    AUDIT_SIGNING_KEY = "audit_signing_key"
    IMAGE_KEY = "image_key"


class SecretError(Exception):
    """A secret that is not there or not usable; the text names its file and the remedy."""


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """The secrets of one gateway."""

    folder: Path
    made: bool
    """Whether a secret that is not there is made when it is first needed."""

    def pepper(self) -> bytes:
        """The key of digests that stand for an API key or an image; 32 bytes.

        Raises:
            SecretError: it is not there or not usable.
        """
        return self._bytes(SecretName.PEPPER)

    def image_keys(self) -> list[bytes]:
        """The keys that wrap the keys of kept images, 32 bytes each; the first wraps new ones.

        Raises:
            SecretError: there is none, or one is not usable.
        """
        return self._keys(SecretName.IMAGE_KEY)

    def audit_signing_key(self) -> Ed25519PrivateKey:
        """The key that signs receipts and checkpoints.

        Raises:
            SecretError: it is not there or not usable.
        """
        path, content = self._content(SecretName.AUDIT_SIGNING_KEY)
        try:
            key = load_pem_private_key(content, password=None)
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise SecretError(f"{path}: it is no Ed25519 key in PEM. Replace it by a right one")
        return key

    def make(self) -> list[Path]:
        """Makes all secrets that are not there yet; returns their files.

        Raises:
            SecretError: a file cannot be written, or one that is there is not usable.
        """
        missing = [self.folder / name for name in SecretName if not (self.folder / name).exists()]
        for path in missing:
            _make(path)
        self.pepper()
        self.audit_signing_key()
        self.image_keys()
        return missing

    def _bytes(self, name: SecretName) -> bytes:
        values = self._keys(name)
        if len(values) > 1:
            raise SecretError(f"{self.folder / name}: it has several lines. Restore the file")
        return values[0]

    def _keys(self, name: SecretName) -> list[bytes]:
        """One a line."""
        path, content = self._content(name)
        try:
            values = [bytes.fromhex(line) for line in content.decode("ascii").split()]
        except ValueError:
            values = []
        if not values or any(len(value) != _BYTES for value in values):
            raise SecretError(
                f"{path}: it has no {2 * _BYTES} hexadecimal digits. Restore the file"
            )
        return values

    def _content(self, name: SecretName) -> tuple[Path, bytes]:
        path = self.folder / name
        if self.made and not path.exists():
            _make(path)
        try:
            return path, path.read_bytes()
        except FileNotFoundError:
            raise SecretError(
                f"{path}: there is no such file. Make the secrets once, for all gateways of the "
                f"database, with `{INIT}`, and give GATEWAY_SECRETS_DIR to each"
            ) from None
        except OSError as error:
            raise SecretError(f"{path}: it cannot be read ({error.strerror})") from None


def _make(path: Path) -> None:
    """Writes a new secret for this user alone. Of two at a time, both use the first's."""
    if path.name == SecretName.AUDIT_SIGNING_KEY:
        content = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    else:
        content = secrets.token_hex(_BYTES).encode("ascii") + b"\n"
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            raise SecretError(
                f"{path.parent}: it is no folder. Name one in GATEWAY_SECRETS_DIR"
            ) from None
        try:
            file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            # Unlike a rename, it never replaces a secret that is in use already.
            os.link(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except FileExistsError:
        return
    except OSError as error:
        raise SecretError(f"{path}: it cannot be written ({error.strerror})") from None
