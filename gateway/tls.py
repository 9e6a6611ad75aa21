"""TLS of both servers: reads their certificate, and reads it again when its files change."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog
from cryptography import x509

from gateway.telemetry.metrics import Metrics
from pipelines.tls import GatewayTls

log = structlog.get_logger("gateway")

_LOOK_SECONDS = 2.0
"""How often the files are looked at: a few system calls."""
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_DAY = 24 * 3600


class TlsError(ValueError):
    """The files cannot be used; the text names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Served:
    """What new connections get. It is replaced as a whole."""

    certificate: bytes
    """The chain as PEM, the server's own certificate first."""
    key: bytes
    client_ca: bytes | None
    """Who signs the certificates of callers, as PEM; None: callers are asked for none."""
    ends: dict[str, datetime]
    """When the certificates end: by `server` the first of the chain, by `client_ca` the last."""
    context: ssl.SSLContext
    """The same for HTTP."""


class ServerTls:
    """The certificate that both servers show, and whom they ask for one."""

    def __init__(self, settings: GatewayTls, metrics: Metrics) -> None:
        """Reads the files of settings that have them.

        Raises:
            TlsError: one cannot be read, is not whole, or the two do not belong together.
        """
        assert settings.certificate_file is not None  # noqa: S101 - one has both or none
        assert settings.key_file is not None  # noqa: S101
        self._certificate_file, self._key_file = settings.certificate_file, settings.key_file
        self._client_ca_file = settings.client_ca_file
        self.certificates_required = settings.certificates_required
        """Whether callers must have a certificate."""
        self.served = self._load()
        self._problem = ""
        """Why the files could not be used when they were looked at last."""
        self._reported = False
        self._failures = metrics.certificate_failures
        for name in self.served.ends:
            metrics.certificate_days.labels(name).set_function(partial(self.days_left, name))
        if self.days_left() < 0:
            log.error("the TLS certificate has ended", days_left=round(self.days_left(), 1))

    def days_left(self, name: str = "server") -> float:
        """Days until what is served ends, `server` or `client_ca`; negative once it has."""
        return (self.served.ends[name] - datetime.now(UTC)).total_seconds() / _DAY

    async def watch(self) -> None:
        """Looks at the files until it is cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Serves what the files hold, if it changed and can be served; else goes on as before.

        A problem is reported once, at the second look: a pair may be in the middle of being
        replaced. Connections that are open keep what they began with.
        """
        problem = ""
        try:
            served = self.served
            if self._read() != (served.certificate, served.key, served.client_ca):
                self.served = self._renewed()
                log.info("the TLS files were read anew", days_left=round(self.days_left(), 1))
        except Exception as error:  # noqa: BLE001 - the watch goes on, whatever the files hold
            problem = str(error) if isinstance(error, TlsError) else type(error).__name__
        if problem != self._problem:
            self._problem, self._reported = problem, False
        elif problem and not self._reported:
            self._reported = True
            self._failures.inc()
            log.error(
                "the TLS files cannot be used: the certificate stays as it was",
                problem=problem,
                days_left=round(self.days_left(), 1),
            )

    def _renewed(self) -> Served:
        renewed, now = self._load(), datetime.now(UTC)
        for name, ends in renewed.ends.items():
            if ends < now < self.served.ends[name]:
                raise TlsError(f"{name}: the new certificate has ended")
        return renewed

    def _load(self) -> Served:
        before = self._read()
        certificate, key, client_ca = before
        chain = _certificates(self._certificate_file, certificate)
        ends = {"server": min(part.not_valid_after_utc for part in chain)}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["http/1.1"])
        try:
            # Without a password function OpenSSL would ask for one on the terminal.
            context.load_cert_chain(self._certificate_file, self._key_file, password=lambda: b"")
        except (OSError, ValueError) as error:
            raise TlsError(
                f"{self._key_file}: is no private key without a password, or not the key of "
                f"{self._certificate_file}: {_reason(error)}"
            ) from None
        if client_ca is not None and self._client_ca_file is not None:
            authorities = _certificates(self._client_ca_file, client_ca)
            ends["client_ca"] = max(part.not_valid_after_utc for part in authorities)
            context.load_verify_locations(cadata=client_ca.decode("ascii", "replace"))
            # Probes have none: whoever else has none is refused by what it asks for.
            context.verify_mode = ssl.CERT_OPTIONAL
        if self._read() != before:
            raise TlsError(f"{self._certificate_file}: is being written")
        return Served(certificate, key, client_ca, ends, context)

    def _read(self) -> tuple[bytes, bytes, bytes | None]:
        """The certificate, its key, and the client CA where there is one."""
        ca = self._client_ca_file
        authorities = None if ca is None else _bytes(ca)
        return _bytes(self._certificate_file), _bytes(self._key_file), authorities


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{path}: cannot be read: {error.strerror}") from None


def _certificates(path: Path, content: bytes) -> list[x509.Certificate]:
    """All certificates of a file; it must hold nothing that is cut off."""
    try:
        certificates = x509.load_pem_x509_certificates(content)
    except ValueError:
        certificates = []
    if not len(certificates) == content.count(_BEGIN) == content.count(_END) > 0:
        raise TlsError(f"{path}: is no whole PEM file of certificates")
    return certificates


def _reason(error: Exception) -> str:
    """What OpenSSL says; never what the file holds."""
    return getattr(error, "reason", None) or type(error).__name__
