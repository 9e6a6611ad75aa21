"""Clients ask over HTTPS: a site's own authority, and a certificate of their own."""

import pytest
from secondopinion import (
    AsyncClient,
    Client,
    Retries,
    SecondOpinionError,
    TransportError,
    UnauthorizedError,
    UnavailableError,
)
from secondopinion._tls import TlsFiles

from lab.service.gateway import Gateway
from tests.certificates import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    site.issue()
    site.trust_callers()
    return site


@pytest.fixture(scope="module")
def gateway(site):
    """One before a Triton that is not there, which wants certificates."""
    environment = {
        "GATEWAY_TLS_CERTIFICATE_FILE": str(site.certificate),
        "GATEWAY_TLS_KEY_FILE": str(site.key),
        "GATEWAY_TLS_CLIENT_CA_FILE": str(site.client_ca),
        "GATEWAY_DATABASE_URL": f"sqlite:///{site.folder / 'gateway.db'}",
        "GATEWAY_SECRETS_DIR": str(site.folder / "secrets"),
    }
    with Gateway(1, log=site.folder / "log", environment=environment) as gateway:
        yield gateway


ONCE = Retries(attempts=1)


async def asked(url, *, asynchronous, **files):
    """The error that comes back: of the service, which has no models, where it could be asked."""
    if asynchronous:
        async with AsyncClient(url, retries=ONCE, **files) as client:
            with pytest.raises(SecondOpinionError) as caught:
                await client.pipelines()
    else:
        with (
            Client(url, retries=ONCE, **files) as client,
            pytest.raises(SecondOpinionError) as caught,
        ):
            client.pipelines()
    return caught.value


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_sites_authority_and_a_certificate_are_given_or_in_the_environment(
    gateway, site, monkeypatch, asynchronous
):
    certificate, key = site.caller("clinic")
    untrusted = await asked(gateway.url, asynchronous=asynchronous)
    assert isinstance(untrusted, TransportError)
    unknown = await asked(gateway.url, asynchronous=asynchronous, ca_file=site.trusted)
    assert isinstance(unknown, UnauthorizedError)
    files = {"ca_file": site.trusted, "certificate_file": certificate, "key_file": key}
    known = await asked(gateway.url, asynchronous=asynchronous, **files)
    assert isinstance(known, UnavailableError)
    for name, path in files.items():
        monkeypatch.setenv(f"SECONDOPINION_{name.upper()}", str(path))
    known = await asked(gateway.url, asynchronous=asynchronous)
    assert isinstance(known, UnavailableError)


def test_a_key_may_be_in_the_certificates_file(site, tmp_path):
    certificate, key = site.caller("clinic")
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    assert TlsFiles(certificate=both).context() is not True


def test_without_files_the_usual_authorities_are_trusted():
    assert TlsFiles().context() is True


@pytest.mark.parametrize("name", ["ca_file", "certificate_file"])
@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----"])
def test_a_file_that_cannot_be_used_is_named(tmp_path, name, content):
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=str(path)):
        Client(**{name: path})


def test_a_key_without_a_certificate_is_refused(tmp_path):
    with pytest.raises(ValueError, match="give both"):
        Client(key_file=tmp_path / "key.pem")
