"""The gateway's certificate towards Triton ends, and its files are renewed before, under load."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import grpc
import pytest
import trustme
from prometheus_client import generate_latest

from gateway.telemetry.metrics import Metrics
from gateway.tls import TritonCertificate
from gateway.triton.client import TritonClient
from gateway.triton.replicas import Replica
from pipelines import certificates
from pipelines.certificates import TlsError
from pipelines.tls import TritonTls
from tests.unit.gateway.toy_triton import Failure, ToyTriton, running

pytestmark = pytest.mark.anyio
SECONDS = 3


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def files(tmp_path, authority):
    """The gateway's three files; called, it writes a certificate that ends after some seconds."""

    def issue(seconds=3600.0, by=authority):
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        leaf = by.issue_cert("gateway", not_after=ends)
        contents = {
            "ca.crt": authority.cert_pem.bytes(),
            "tls.crt": b"".join(part.bytes() for part in leaf.cert_chain_pems),
            "tls.key": leaf.private_key_pem.bytes(),
        }
        for name, content in contents.items():
            (tmp_path / "new").write_bytes(content)
            (tmp_path / "new").replace(tmp_path / name)
        return TritonTls(
            ca_file=tmp_path / "ca.crt",
            certificate_file=tmp_path / "tls.crt",
            key_file=tmp_path / "tls.key",
        )

    return issue


@pytest.fixture
def credentials(authority):
    """Of a Triton that wants certificates."""
    leaf = authority.issue_cert("localhost")
    chain = b"".join(part.bytes() for part in leaf.cert_chain_pems)
    return grpc.ssl_server_credentials(
        [(leaf.private_key_pem.bytes(), chain)],
        root_certificates=authority.cert_pem.bytes(),
        require_client_auth=True,
    )


@pytest.fixture
async def toy(credentials):
    """Such a Triton, which ends connections after a second."""
    age = ("grpc.max_connection_age_ms", 1000)
    async with running(ToyTriton(), credentials, [age]) as toy:
        yield toy


async def ask(triton):
    await triton.infer("oral_cancer", [b"image"], {}, 10)


async def test_no_call_is_lost_when_the_certificate_ends_that_was_renewed_before(toy, files):
    settings = files(SECONDS)
    ended = time.time() + SECONDS + 3
    triton = TritonClient(f"localhost:{toy.port}", settings)
    triton.open()
    metrics = Metrics()
    watch = TritonCertificate(settings, triton, metrics)
    await ask(triton)
    files()
    slow = toy.hold()
    under_way = asyncio.create_task(ask(triton))
    await asyncio.sleep(0.2)
    toy.rules.clear()
    await watch.look()
    while time.time() < ended:
        await asyncio.gather(*(ask(triton) for _ in range(4)))
        await asyncio.sleep(0.05)
    slow.set()
    await under_way
    assert watch.days_left() > 0
    assert b'gateway_tls_certificate_lifetime_days{certificate="triton"}' in generate_latest(
        metrics.registry
    )
    await triton.close()


async def test_the_others_are_asked_with_the_same_certificates_and_by_the_same_name(
    toy, credentials, files, monkeypatch
):
    async with running(ToyTriton(), credentials) as other:

        async def replicas_of(_address):
            ports = (toy.port, other.port)
            # The address is in no certificate.
            return [Replica(f"ipv4:127.0.0.1:{port}", "localhost") for port in ports]

        monkeypatch.setattr("gateway.triton.replicas.replicas_of", replicas_of)
        triton = TritonClient(f"localhost:{toy.port}", files())
        triton.open()
        absent = Failure(grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'p' is not found")
        toy.failures += [absent] * 2
        await ask(triton)
        assert other.calls == [1]
        await triton.close()


async def test_a_certificate_that_no_triton_lets_in_changes_nothing(toy, files, monkeypatch):
    monkeypatch.setattr("gateway.triton.client._CONNECT_SECONDS", 0.5)
    settings, metrics = files(), Metrics()
    triton = TritonClient(f"localhost:{toy.port}", settings)
    triton.open()
    watch = TritonCertificate(settings, triton, metrics)
    files(by=trustme.CA())
    for _ in range(2):
        await watch.look()
    await ask(triton)
    assert b"gateway_tls_reload_failures_total 1.0" in generate_latest(metrics.registry)
    files()
    await watch.look()
    await ask(triton)
    await triton.close()


async def test_where_no_triton_is_there_nothing_is_wrong_with_the_files(toy, files, monkeypatch):
    monkeypatch.setattr("gateway.triton.client._CONNECT_SECONDS", 0.5)
    settings, metrics = files(), Metrics()
    triton = TritonClient(f"localhost:{toy.port}", settings)
    triton.open()
    watch = TritonCertificate(settings, triton, metrics)
    await ask(triton)
    await toy.stop()
    files()
    for _ in range(3):
        await watch.look()
    assert b"gateway_tls_reload_failures_total 0.0" in generate_latest(metrics.registry)
    await triton.close()


@pytest.mark.parametrize("spoilt", ["certificate_file", "key_file", "ca_file"])
async def test_files_that_are_cut_off_change_nothing(toy, files, spoilt):
    settings, metrics = files(), Metrics()
    triton = TritonClient(f"localhost:{toy.port}", settings)
    triton.open()
    watch = TritonCertificate(settings, triton, metrics)
    path = getattr(settings, spoilt)
    path.write_bytes(path.read_bytes()[:100])
    for _ in range(2):
        await watch.look()
    await ask(triton)
    assert b"gateway_tls_reload_failures_total 1.0" in generate_latest(metrics.registry)
    with pytest.raises(TlsError, match=str(settings.key_file if spoilt == "key_file" else path)):
        certificates.MutualTls.load(settings)
    await triton.close()
