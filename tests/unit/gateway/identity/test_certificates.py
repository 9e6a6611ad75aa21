"""A client certificate is a caller by its digest, an alternative name or its subject."""

import hashlib
import ssl

import pytest
from cryptography import x509

from database.engine import open_engine
from gateway.errors import Code, RefusedError
from gateway.identity.api_keys import ApiKeys
from gateway.identity.authentication import Authenticator, Credentials
from gateway.identity.certificates import CertificateError, certificate_name, names_of
from gateway.identity.key_format import ApiKey, new_id
from gateway.identity.key_store import KeyStore
from gateway.identity.principal import Role
from gateway.identity.stored_keys import ApiKeyError, Grant
from tests.certificates import Site

pytestmark = pytest.mark.anyio

PEPPER = b"p" * 32
WARD = Grant("ward", frozenset({Role.PREDICT}), frozenset({"mhist"}), rate="60/min")


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture
def store(sqlite_url):
    engine = open_engine(sqlite_url)
    yield KeyStore(engine)
    engine.dispose()


@pytest.fixture
def authenticator(store):
    return Authenticator(ApiKeys(store, PEPPER, stale_seconds=60))


def pem_of(site, *names):
    return site.caller(*names)[0].read_bytes()


def sha256_of(pem):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()


def stored(store, certificate, grant=WARD):
    return store.create_for_certificate(grant, PEPPER, key_id=new_id(), certificate=certificate)


async def who(authenticator, **credentials):
    await authenticator.keys.look()
    return await authenticator.authenticate(Credentials(**credentials))


async def refused(authenticator, **credentials):
    with pytest.raises(RefusedError) as caught:
        await who(authenticator, **credentials)
    return caught.value.code


def test_a_certificate_has_names(site):
    pem = pem_of(site, "ward.example", "nurse@ward.example")
    assert names_of(pem)[0] == f"sha256:{sha256_of(pem)}"
    assert {"dns:ward.example", "email:nurse@ward.example"} < set(names_of(pem))
    assert any(name.startswith("subject:CN=ward.example") for name in names_of(pem))


def test_an_operator_names_it_by_its_file_or_its_name(site):
    path, _ = site.caller("ward.example")
    assert certificate_name(str(path)) == f"sha256:{sha256_of(path.read_bytes())}"
    assert certificate_name("uri:spiffe://site/ward") == "uri:spiffe://site/ward"
    colons = ":".join(["AB"] * 32)
    assert certificate_name(f"sha256:{colons}") == f"sha256:{'ab' * 32}"


@pytest.mark.parametrize("text", ["", "ward", "dns:", "sha256:12", "/absent", "uri:" + "x" * 300])
def test_another_text_is_refused_with_the_remedy(text):
    with pytest.raises(CertificateError, match=r"^certificate: "):
        certificate_name(text)


def test_a_file_that_is_no_certificate_is_refused(site):
    _, key = site.caller("ward.example")
    with pytest.raises(CertificateError, match="give a PEM file"):
        certificate_name(str(key))


async def test_its_owner_is_the_caller_that_its_row_says(site, store, authenticator):
    pem = pem_of(site, "ward.example")
    key = stored(store, f"sha256:{sha256_of(pem)}")
    principal = await who(authenticator, certificate=pem)
    assert (principal.kind, principal.name, principal.credential) == ("certificate", "ward", key.id)
    assert (principal.roles, principal.pipelines) == (WARD.roles, WARD.pipelines)
    assert principal.rate == "60/min"


async def test_a_renewed_certificate_of_the_same_name_is_the_same_caller(
    site, store, authenticator
):
    stored(store, "dns:ward.example")
    first = await who(authenticator, certificate=pem_of(site, "ward.example"))
    renewed = await who(authenticator, certificate=pem_of(site, "ward.example"))
    assert first == renewed


async def test_a_certificate_that_no_row_stands_for_is_refused(site, store, authenticator):
    stored(store, "dns:ward.example")
    for name in ("other.example", "ward.example.org"):
        pem = pem_of(site, name)
        assert await refused(authenticator, certificate=pem) is Code.UNAUTHORIZED


async def test_a_revoked_one_is_refused_and_may_be_made_anew(site, store, authenticator):
    key = stored(store, "dns:ward.example")
    pem = pem_of(site, "ward.example")
    with pytest.raises(ApiKeyError, match=f"{key.id} stands for it"):
        stored(store, "dns:ward.example")
    store.revoke(key.id)
    assert await refused(authenticator, certificate=pem) is Code.UNAUTHORIZED
    new = stored(store, "dns:ward.example")
    assert (await who(authenticator, certificate=pem)).credential == new.id


async def test_credentials_in_the_request_go_before_the_certificate(site, store, authenticator):
    stored(store, "dns:ward.example")
    pem = pem_of(site, "ward.example")
    key = ApiKey.new()
    store.create(Grant("clinic", frozenset({Role.AUDIT})), PEPPER, key=key)
    assert (await who(authenticator, api_key=key.text, certificate=pem)).name == "clinic"
    assert (await who(authenticator, bearer=key.text, certificate=pem)).name == "clinic"
    # A wrong key is not made good by a certificate.
    assert await refused(authenticator, api_key="wrong", certificate=pem) is Code.UNAUTHORIZED


async def test_no_text_that_a_caller_sends_is_a_certificates_key(site, store, authenticator):
    key = stored(store, "dns:ward.example")
    for text in (f"certificate:{key.id}", key.digest, "dns:ward.example"):
        assert await refused(authenticator, api_key=text) is Code.UNAUTHORIZED


def test_a_certificates_row_is_not_rotated(store):
    key = stored(store, "dns:ward.example")
    with pytest.raises(ApiKeyError, match="stands for a certificate"):
        store.rotate(key.id, PEPPER, key=ApiKey.new(), overlap_seconds=60)


async def test_a_certificate_that_cannot_be_read_is_refused(store, authenticator, monkeypatch):
    stored(store, "dns:ward.example")

    def unreadable(_):
        raise x509.DuplicateExtension("twice", x509.SubjectAlternativeName.oid)

    assert await refused(authenticator, certificate=b"no PEM") is Code.UNAUTHORIZED
    monkeypatch.setattr(x509, "load_pem_x509_certificate", unreadable)
    assert await refused(authenticator, certificate=b"of another kind") is Code.UNAUTHORIZED
