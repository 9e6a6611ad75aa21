"""`python -m gateway` over TLS: probes, callers' certificates, and a renewal under load."""

import asyncio
import os
import ssl
import subprocess
import sys
from pathlib import Path

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from lab.paths import ROOT
from lab.service.gateway import Gateway
from tests.certificates import Site


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    site.issue()
    site.trust_callers()
    return site


@pytest.fixture
def start(site, tmp_path):
    """Starts a gateway before a Triton that is not there."""
    started = []

    def starter(**more):
        environment = {
            "GATEWAY_TLS_CERTIFICATE_FILE": str(site.certificate),
            "GATEWAY_TLS_KEY_FILE": str(site.key),
            "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path / 'gateway.db'}",
            "GATEWAY_SECRETS_DIR": str(tmp_path / "secrets"),
            **more,
        }
        started.append(Gateway(1, log=tmp_path / "log", environment=environment))
        return started[-1].__enter__()

    yield starter
    for gateway in started:
        gateway.stop()


def trusting(site: Site, caller: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=site.trusted)
    if caller:
        context.load_cert_chain(*site.caller(caller))
    return context


def test_only_probes_need_no_certificate_where_one_is_required(start, site):
    gateway = start(GATEWAY_TLS_CLIENT_CA_FILE=str(site.client_ca))
    with httpx.Client(base_url=gateway.url, verify=trusting(site)) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
        for path in ("/metrics", "/docs", "/openapi.json", "/api/v1/pipelines", "/v2", "/nothing"):
            refused = client.get(path)
            assert refused.status_code == 401
            assert "a client certificate is needed" in refused.text
    with httpx.Client(base_url=gateway.url, verify=trusting(site, "clinic")) as client:
        assert client.get("/metrics").status_code == 200
        assert (
            'gateway_tls_certificate_days{certificate="client_ca"}' in client.get("/metrics").text
        )


def test_a_certificate_is_a_caller_at_both_doors(start, site, tmp_path):
    environment = {
        "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path / 'gateway.db'}",
        "GATEWAY_SECRETS_DIR": str(tmp_path / "secrets"),
    }
    command = [sys.executable, "-m", "gateway", "keys", "create"]
    for name, role in (("prometheus", "operate"), ("ward", "predict")):
        words = [*command, "--role", role, "--certificate", f"dns:{name}.example"]
        subprocess.run(words, check=True, env=os.environ | environment, cwd=ROOT)
    gateway = start(GATEWAY_TLS_CLIENT_CA_FILE=str(site.client_ca), GATEWAY_AUTH="required")

    def statuses(caller):
        context = trusting(site, caller)
        with httpx.Client(base_url=gateway.url, verify=context) as client:
            http = client.get("/metrics").status_code
        pair = [path.read_bytes() for path in site.caller(caller)]
        credentials = grpc.ssl_channel_credentials(site.trusted.read_bytes(), *pair[::-1])
        address = f"localhost:{gateway.ports.gateway_grpc_port}"
        with grpc.secure_channel(address, credentials) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            try:
                stub.ServerMetadata(service_pb2.ServerMetadataRequest(), timeout=20)
            except grpc.RpcError as error:
                return http, error.code().name
            return http, "OK"

    assert statuses("prometheus.example") == (200, "OK")
    assert statuses("ward.example") == (403, "OK")
    assert statuses("stranger.example") == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("spoilt", ["certificate", "key"])
def test_files_that_cannot_be_served_are_an_error_at_the_start(start, site, spoilt):
    path: Path = getattr(site, spoilt)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(Exception, match=f"gateway: {path}: ") as caught:
        start()
    assert "Traceback" not in str(caught.value)


def test_a_renewed_certificate_is_shown_without_a_lost_request(start, site):
    gateway = start()
    verify = trusting(site)
    shown: set[bytes] = set()

    async def ask(client: httpx.AsyncClient, keep: str) -> None:
        """Each without keeping its connection shakes hands anew."""
        request = client.build_request("GET", "/healthz", headers={"connection": keep})
        answer = await client.send(request, stream=True)
        stream = answer.extensions["network_stream"]
        shown.add(stream.get_extra_info("ssl_object").getpeercert(True))
        await answer.aread()
        await answer.aclose()
        assert answer.status_code == 200

    async def renew() -> None:
        async with httpx.AsyncClient(base_url=gateway.url, verify=verify, timeout=20) as client:
            for _ in range(2):
                leaf = site.issue().cert_chain_pems[0].bytes().decode()
                wanted = ssl.PEM_cert_to_DER_cert(leaf)
                async with asyncio.timeout(30):
                    while wanted not in shown:
                        await asyncio.gather(*(ask(client, "close") for _ in range(4)))
                        await ask(client, "keep-alive")

    asyncio.run(renew())
