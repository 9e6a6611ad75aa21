"""Reads PEM files of TLS, and says what is wrong with one: certificates, keys, authorities."""

import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509

from pipelines.tls import TritonTls

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


class TlsError(ValueError):
    """The files cannot be used; the text names the file and the remedy."""


def content(path: Path) -> bytes:
    """What a file holds.

    Raises:
        TlsError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{path}: cannot be read: {error.strerror}") from None


def certificates(path: Path, read: bytes) -> list[x509.Certificate]:
    """All certificates of a file's content, which holds nothing that is cut off.

    Raises:
        TlsError: it does.
    """
    try:
        found = x509.load_pem_x509_certificates(read)
    except ValueError:
        found = []
    if not len(found) == read.count(_BEGIN) == read.count(_END) > 0:
        raise TlsError(f"{path}: is no whole PEM file of certificates")
    return found


@dataclass(frozen=True, slots=True)
class Validity:
    """How long a certificate holds."""

    begins: datetime
    ends: datetime

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Self:
        """What a certificate says."""
        return cls(certificate.not_valid_before_utc, certificate.not_valid_after_utc)

    @property
    def lifetime(self) -> timedelta:
        """From its beginning to its end."""
        return self.ends - self.begins


def load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Has a context show a certificate.

    Raises:
        TlsError: the key has a password, is none, or is that of another certificate.
    """
    try:
        # Without a password function OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise TlsError(
            f"{key}: is no private key without a password, or not the key of {certificate}: "
            f"{reason}"
        ) from None


@dataclass(frozen=True, slots=True)
class MutualTls:
    """What one side of Triton's gRPC shows, and whom it trusts; all three as PEM."""

    authority: bytes
    certificate: bytes
    key: bytes
    validity: Validity
    """Of the first certificate of the chain to end."""

    @classmethod
    def load(cls, settings: TritonTls) -> Self | None:
        """Reads the files of settings; None where they name none.

        Raises:
            TlsError: one cannot be read, is not whole, is being written, or the certificate and
                the key do not belong together.
        """
        ca, certificate, key = settings.files
        if ca is None or certificate is None or key is None:
            return None
        paths = (ca, certificate, key)
        before = [content(path) for path in paths]
        certificates(ca, before[0])
        chain = certificates(certificate, before[1])
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key)
        if [content(path) for path in paths] != before:
            raise TlsError(f"{certificate}: is being written")
        validity = min(map(Validity.of, chain), key=lambda each: each.ends)
        return cls(before[0], before[1], before[2], validity)
