"""TLS of both servers, and towards Triton: reads its files, and again when they change."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from gateway.telemetry.metrics import Metrics
from gateway.triton.client import TritonClient
from pipelines.certificates import (
    MutualTls,
    TlsError,
    Validity,
    certificates,
    content,
    load_pair,
)
from pipelines.tls import GatewayTls, TritonTls

log = structlog.get_logger("gateway")

_LOOK_SECONDS = 2.0
"""How often the files are looked at: a few system calls."""
_DAY = 24 * 3600


class _Problems:
    """Reports once, at the second look: a pair may be in the middle of being replaced."""

    def __init__(self, metrics: Metrics, what: str) -> None:
        self._failures, self._what = metrics.certificate_failures, what
        self._last, self._reported = "", False

    def note(self, error: Exception | None, days_left: float) -> None:
        """Takes what a look found."""
        problem = str(error) if isinstance(error, TlsError) else type(error).__name__
        if error is None:
            problem = ""
        if problem != self._last:
            self._last, self._reported = problem, False
        elif problem and not self._reported:
            self._reported = True
            self._failures.inc()
            log.error(
                f"{self._what} cannot be used: the certificate stays as it was",
                problem=problem,
                days_left=round(days_left, 1),
            )


@dataclass(frozen=True, slots=True)
class Served:
    """What new connections get. It is replaced as a whole."""

    certificate: bytes
    """The chain as PEM, the server's own certificate first."""
    key: bytes
    client_ca: bytes | None
    """Who signs the certificates of callers, as PEM; None: callers are asked for none."""
    validity: dict[str, Validity]
    """Of the certificate that ends first in the chain, by `server`; of the last authority to end,
    by `client_ca`."""
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
        self._problems = _Problems(metrics, "the TLS files")
        for name in self.served.validity:
            metrics.certificate_days.labels(name).set_function(partial(self.days_left, name))
            lifetime = metrics.certificate_lifetime_days.labels(name)
            lifetime.set_function(partial(self._lifetime_days, name))
        if self.days_left() < 0:
            log.error("the TLS certificate has ended", days_left=round(self.days_left(), 1))

    def days_left(self, name: str = "server") -> float:
        """Days until what is served ends, `server` or `client_ca`; negative once it has."""
        return _days_until(self.served.validity[name].ends)

    def _lifetime_days(self, name: str) -> float:
        return _days(self.served.validity[name].lifetime)

    async def watch(self) -> None:
        """Looks at the files until it is cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Serves what the files hold, if it changed and can be served; else goes on as before.

        Connections that are open keep what they began with.
        """
        problem: Exception | None = None
        try:
            served = self.served
            if self._read() != (served.certificate, served.key, served.client_ca):
                self.served = self._renewed()
                log.info("the TLS files were read anew", days_left=round(self.days_left(), 1))
        except Exception as error:  # noqa: BLE001 - the watch goes on, whatever the files hold
            problem = error
        self._problems.note(problem, self.days_left())

    def _renewed(self) -> Served:
        renewed, now = self._load(), datetime.now(UTC)
        for name, validity in renewed.validity.items():
            if validity.ends < now < self.served.validity[name].ends:
                raise TlsError(f"{name}: the new certificate has ended")
        return renewed

    def _load(self) -> Served:
        before = self._read()
        certificate, key, client_ca = before
        chain = certificates(self._certificate_file, certificate)
        validity = {"server": min(map(Validity.of, chain), key=_end)}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["http/1.1"])
        load_pair(context, self._certificate_file, self._key_file)
        if client_ca is not None and self._client_ca_file is not None:
            authorities = certificates(self._client_ca_file, client_ca)
            validity["client_ca"] = max(map(Validity.of, authorities), key=_end)
            context.load_verify_locations(cadata=client_ca.decode("ascii", "replace"))
            # Probes have none: whoever else has none is refused by what it asks for.
            context.verify_mode = ssl.CERT_OPTIONAL
        if self._read() != before:
            raise TlsError(f"{self._certificate_file}: is being written")
        return Served(certificate, key, client_ca, validity, context)

    def _read(self) -> tuple[bytes, bytes, bytes | None]:
        """The certificate, its key, and the client CA where there is one."""
        ca = self._client_ca_file
        authorities = None if ca is None else content(ca)
        return content(self._certificate_file), content(self._key_file), authorities


class TritonCertificate:
    """The certificate that the gateway shows to Triton: it connects anew when the files change."""

    def __init__(self, settings: TritonTls, triton: TritonClient, metrics: Metrics) -> None:
        """Takes settings that have files, and the client that has read them."""
        self._settings, self._triton = settings, triton
        self._problems = _Problems(metrics, "the TLS files towards Triton")
        metrics.certificate_days.labels("triton").set_function(self.days_left)
        lifetime = metrics.certificate_lifetime_days.labels("triton")
        lifetime.set_function(lambda: _days(_shown(triton).validity.lifetime))

    def days_left(self) -> float:
        """Days until the certificate that is shown ends; negative once it has."""
        return _days_until(_shown(self._triton).validity.ends)

    async def watch(self) -> None:
        """Looks at the files until it is cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Connects with what the files hold, if it changed and a Triton lets it in."""
        problem: Exception | None = None
        try:
            renewed = await asyncio.to_thread(MutualTls.load, self._settings)
            assert renewed is not None  # noqa: S101 - the settings name files
            for client in filter(None, (self._triton, self._triton.spare)):
                if renewed != client.tls:
                    await self._renew(client, renewed)
        except Exception as error:  # noqa: BLE001 - the watch goes on, whatever the files hold
            problem = error
        self._problems.note(problem, self.days_left())

    async def _renew(self, client: TritonClient, renewed: MutualTls) -> None:
        now, ends = datetime.now(UTC), _shown(client).validity.ends
        if renewed.validity.ends < now < ends:
            raise TlsError(f"{self._settings.certificate_file}: the new certificate has ended")
        if await client.renew(renewed):
            log.info("connected to triton with new TLS files", days_left=round(self.days_left(), 1))
        elif ends < now or await client.connects():
            # Else there is no Triton, as where they scale to zero.
            raise TlsError(f"{self._settings.certificate_file}: no Triton lets it in")


def _shown(client: TritonClient) -> MutualTls:
    assert client.tls is not None  # noqa: S101 - it has read the files
    return client.tls


def _days_until(end: datetime) -> float:
    return _days(end - datetime.now(UTC))


def _days(span: timedelta) -> float:
    return span.total_seconds() / _DAY


def _end(validity: Validity) -> datetime:
    return validity.ends
