"""The certificate of one of two Tritons is renewed under load."""

import asyncio
import socket
import ssl
import sys
from datetime import UTC, datetime, timedelta

import grpc
import pytest
import trustme

from gateway.triton import client as triton_client
from lab.service.service import Service
from tests.unit.gateway.several_tritons import gateway_before
from tests.unit.gateway.toy_triton import ToyTriton
from tests.unit.gateway.toy_triton import running as toy_running

_AT_ONCE = (
    "import typer; from server.launcher import certificate_renewal as renewal; "
    "renewal._LONGEST_SECONDS = 1; from server.__main__ import main; typer.run(main)"
)
"""The launcher, but that it leaves nothing to chance."""


class Certificates:
    """The files of Triton and of a gateway, each in a folder of its own."""

    def __init__(self, folder):
        self.folder, self.authority = folder, trustme.CA()
        for name in ("triton", "gateway"):
            self.issue(name, timedelta(hours=1))

    def issue(self, name, lasts):
        """Writes a new certificate; its DER."""
        ends = datetime.now(UTC) + lasts
        leaf = self.authority.issue_cert("localhost", not_after=ends)
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        contents = {
            "ca.crt": self.authority.cert_pem.bytes(),
            "tls.crt": leaf.cert_chain_pems[0].bytes(),
            "tls.key": leaf.private_key_pem.bytes(),
        }
        for file, content in contents.items():
            (folder / "new").write_bytes(content)
            (folder / "new").replace(folder / file)
        return ssl.PEM_cert_to_DER_cert(contents["tls.crt"].decode())

    def settings(self, name):
        files = {"CA": "ca.crt", "CERTIFICATE": "tls.crt", "KEY": "tls.key"}
        folder = self.folder / name
        return {f"TRITON_TLS_{key}_FILE": str(folder / file) for key, file in files.items()}

    def shown(self, port):
        """The certificate of whoever listens there, as DER; None where nobody does."""
        context = ssl.create_default_context(cafile=self.folder / "gateway" / "ca.crt")
        context.load_cert_chain(
            self.folder / "gateway" / "tls.crt", self.folder / "gateway" / "tls.key"
        )
        context.set_alpn_protocols(["h2"])
        try:
            with (
                socket.create_connection(("127.0.0.1", port), 5) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as connection,
            ):
                return connection.getpeercert(binary_form=True)
        except OSError:
            return None

    def server_credentials(self):
        leaf = self.authority.issue_cert("localhost")
        pair = leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes()
        authority = self.authority.cert_pem.bytes()
        return grpc.ssl_server_credentials([pair], authority, require_client_auth=True)


@pytest.fixture
def certificates(tmp_path, monkeypatch):
    certificates = Certificates(tmp_path)
    for name, value in certificates.settings("gateway").items():
        monkeypatch.setenv(name, value)
    # An address of several Tritons has no name for a certificate.
    options = (
        *triton_client._CHANNEL_OPTIONS,
        ("grpc.ssl_target_name_override", "localhost"),
    )
    monkeypatch.setattr(triton_client, "_CHANNEL_OPTIONS", options)
    return certificates


@pytest.fixture
def triton(oral_cancer, certificates, tmp_path):
    """A launcher with a real Triton."""
    started = Service(
        ("oral_cancer",),
        oral_cancer.repository,
        log=tmp_path / "service.log",
        specs=oral_cancer.specs,
        environment=certificates.settings("triton"),
        gateway=False,
    )
    started.argv = (sys.executable, "-c", _AT_ONCE, *started.argv[3:])
    with started:
        yield started


def test_no_request_is_lost_while_one_of_two_tritons_renews_its_certificate(
    oral_cancer, certificates, triton
):
    port = triton.ports.triton_grpc_port
    photo = {"file": oral_cancer.files[0]}
    releases = set()

    async def ask(client) -> None:
        calls = (client.post("/api/v1/predict", files=photo) for _ in range(2))
        for answer in await asyncio.gather(*calls):
            assert answer.status_code == 200, answer.text
            releases.add(answer.json()["release"])

    async def both(client) -> None:
        releases.clear()
        while len(releases) < 2:
            await ask(client)

    async def load() -> None:
        # A second one, which is asked while the first starts again.
        async with (
            toy_running(ToyTriton(), certificates.server_credentials()) as toy,
            gateway_before([port, toy.port]) as client,
        ):
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await both(client)
            wanted = certificates.issue("triton", timedelta(hours=1))
            async with asyncio.timeout(180):
                while await asyncio.to_thread(certificates.shown, port) != wanted:
                    await ask(client)
                # It shows it before it has loaded its models.
                await both(client)

    asyncio.run(load())
    log = triton.log.read_text("utf-8")
    assert log.count("ending it, to start it with its renewed TLS files") == 1
