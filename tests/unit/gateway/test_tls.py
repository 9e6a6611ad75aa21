"""A renewed certificate is served; what cannot be served changes nothing and is reported."""

from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from gateway.telemetry.metrics import Metrics
from gateway.tls import ServerTls
from pipelines.certificates import TlsError
from tests.certificates import Site


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    site.issue()
    return site


@pytest.fixture
def read(site):
    """Reads the site's files; the metrics are at `metrics`."""

    def reader(**more):
        metrics = Metrics()
        tls = ServerTls(site.settings(**more), metrics)
        tls.metrics = metrics
        return tls

    return reader


def sample(tls, name):
    lines = generate_latest(tls.metrics.registry).decode().splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), None)


def test_without_tls_no_days_are_left():
    """A 0 would be an alert."""
    assert b"gateway_tls_certificate_days{" not in generate_latest(Metrics().registry)


def test_the_days_that_are_left_are_a_metric(site, read):
    now = datetime.now(UTC)
    site.issue(not_before=now - timedelta(days=20), not_after=now + timedelta(days=10))
    site.trust_callers()
    tls = read(client_ca_file=site.client_ca)
    assert 9.9 < sample(tls, 'gateway_tls_certificate_days{certificate="server"}') < 10
    assert sample(tls, 'gateway_tls_certificate_days{certificate="client_ca"}') > 10
    lifetime = sample(tls, 'gateway_tls_certificate_lifetime_days{certificate="server"}')
    assert lifetime == pytest.approx(30)


def test_a_renewed_certificate_is_taken_up(site, read):
    tls = read()
    before = tls.served
    tls.look()
    assert tls.served is before
    renewed = site.issue()
    with capture_logs() as lines:
        tls.look()
    assert tls.served.certificate.startswith(renewed.cert_chain_pems[0].bytes())
    assert tls.served.context is not before.context
    assert [line["event"] for line in lines] == ["the TLS files were read anew"]


def test_so_is_a_client_ca(site, read):
    site.trust_callers()
    tls = read(client_ca_file=site.client_ca)
    site.callers = Site(site.folder).callers
    site.trust_callers()
    tls.look()
    assert tls.served.client_ca == site.client_ca.read_bytes()


def encrypted(key):
    loaded = serialization.load_pem_private_key(key, None)
    return loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


def another_key(_):
    return trustme.CA().issue_cert("localhost").private_key_pem.bytes()


UNUSABLE = {
    "a certificate that is cut off": ("certificate", lambda content: content[: len(content) // 2]),
    "a certificate without its last byte": ("certificate", lambda content: content[:-6]),
    "no certificate": ("certificate", lambda _: b""),
    "a certificate with a chain that is cut off": (
        "certificate",
        lambda content: content + content[:200],
    ),
    "a key that is cut off": ("key", lambda content: content[: len(content) // 2]),
    "no key": ("key", lambda _: b""),
    "a key of another certificate": ("key", another_key),
    "a key with a password": ("key", encrypted),
    "a client CA that is cut off": ("client_ca", lambda content: content + content[:200]),
    "no client CA": ("client_ca", lambda _: b""),
}


@pytest.mark.parametrize(("file", "spoil"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_served_keeps_the_old_one_and_is_said_once(site, read, file, spoil):
    site.trust_callers()
    tls = read(client_ca_file=site.client_ca)
    before = tls.served
    path = getattr(site, file)
    whole = path.read_bytes()
    path.write_bytes(spoil(whole))
    with capture_logs() as lines:
        tls.look()
        assert lines == []
        tls.look()
        tls.look()
    assert tls.served is before
    (line,) = lines
    assert line["log_level"] == "error"
    assert str(path) in line["problem"]
    assert line["days_left"] > 1
    assert sample(tls, "gateway_tls_reload_failures_total") == 1
    # The same contents are refused where a gateway starts.
    with pytest.raises(TlsError, match=str(path)):
        read(client_ca_file=site.client_ca)
    path.write_bytes(whole)
    site.issue()
    tls.look()
    assert tls.served is not before


def test_a_file_that_is_gone_keeps_the_old_one_and_is_said_once(site, read):
    tls = read()
    before = tls.served
    content = site.key.read_bytes()
    site.key.unlink()
    with capture_logs() as lines:
        tls.look()
        tls.look()
    assert tls.served is before
    assert len(lines) == 1
    assert "tls.key: cannot be read" in lines[0]["problem"]
    site.key.write_bytes(content)
    with capture_logs() as lines:
        tls.look()
    assert tls.served is before
    assert lines == []


def test_a_certificate_that_has_ended_does_not_replace_one_that_has_not(site, read):
    tls = read()
    before = tls.served
    site.issue(not_after=datetime.now(UTC) - timedelta(days=1))
    with capture_logs() as lines:
        tls.look()
        tls.look()
    assert tls.served is before
    assert "has ended" in lines[0]["problem"]


def test_a_certificate_that_has_ended_is_said_at_the_start(site, read):
    site.issue(not_after=datetime.now(UTC) - timedelta(days=1))
    with capture_logs() as lines:
        tls = read()
    assert lines[0]["event"] == "the TLS certificate has ended"
    assert sample(tls, 'gateway_tls_certificate_days{certificate="server"}') < 0


def test_a_pair_of_which_one_file_is_replaced_meanwhile_is_not_served(site, read, monkeypatch):
    tls = read()
    before = tls.served
    site.issue()
    pem = x509.load_pem_x509_certificates

    def replaced_meanwhile(content):
        site.issue()
        return pem(content)

    monkeypatch.setattr(x509, "load_pem_x509_certificates", replaced_meanwhile)
    with capture_logs() as lines:
        tls.look()
    assert lines == []
    assert tls.served is before
    monkeypatch.undo()
    tls.look()
    assert tls.served is not before
    assert tls.served.key == site.key.read_bytes()


def test_whatever_else_keeps_files_from_being_read_keeps_the_old_ones(site, read, monkeypatch):
    """An error that ended the watch would go unnoticed until the certificate ends."""
    tls = read()
    before = tls.served
    site.issue()

    def unreadable(_):
        raise x509.InvalidVersion("no version of X.509", 7)

    monkeypatch.setattr(x509, "load_pem_x509_certificates", unreadable)
    with capture_logs() as lines:
        for _ in range(3):
            tls.look()
    assert tls.served is before
    assert [line["problem"] for line in lines] == ["InvalidVersion"]
    monkeypatch.undo()
    tls.look()
    assert tls.served is not before
