"""Bearer tokens: whose are let in, and what happens while their issuer is away."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError
from structlog.testing import capture_logs

from gateway.errors import Code, RefusedError
from gateway.identity.jwks import Jwks, JwksError, parse, read_file, read_url
from gateway.identity.principal import Role
from gateway.identity.stored_keys import ApiKeyError, Grant
from gateway.identity.token_settings import TokenSettings
from gateway.identity.tokens import Tokens, looks_like_token

pytestmark = pytest.mark.anyio

HOUR = 3600
RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ALGORITHMS = frozenset({"RS256", "ES256"})
SETTINGS = {
    "issuer": "https://issuer.example",
    "audience": "second-opinion",
    "jwks": "https://issuer.example/keys",
    "roles": "so-user=predict,so-user=feedback,so-admin=operate",
}


def jwk(key, kid, **more):
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPublicKey) else None
    kind = kind or jwt.algorithms.ECAlgorithm
    return kind.to_jwk(key, as_dict=True) | {"kid": kid, "use": "sig"} | more


def key_set(*keys):
    return json.dumps({"keys": list(keys)}).encode()


KEYS = key_set(jwk(RSA.public_key(), "one", alg="RS256"), jwk(EC.public_key(), "two"))


def claims(**changes):
    now = int(time.time())
    made = {
        "iss": SETTINGS["issuer"],
        "aud": SETTINGS["audience"],
        "sub": "dr-1",
        "iat": now,
        "exp": now + 48 * HOUR,
        "jti": "token-7",
        "roles": ["so-user"],
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def token(key=RSA, kid="one", algorithm="RS256", **changes):
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**changes), key, algorithm, headers=headers)


class Issuer:
    """Counts how often it is asked for its keys; may be away."""

    def __init__(self):
        self.keys, self.asked, self.away = KEYS, 0, False

    def __call__(self):
        self.asked += 1
        if self.away:
            raise JwksError("ConnectionRefusedError")
        return self.keys


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(issuer, clock):
    return made(issuer, clock)


def made(issuer, clock, **changes):
    settings = TokenSettings(**SETTINGS | changes)
    stale = settings.jwks_stale_seconds
    keys = Jwks(issuer, ALGORITHMS, every_seconds=300, stale_seconds=stale, clock=clock)
    return Tokens(settings, keys)


async def refusal(tokens, text):
    with pytest.raises(RefusedError) as caught:
        await tokens.principal(text)
    return caught.value.code, caught.value.reason


UNAUTHORIZED = (Code.UNAUTHORIZED, "unauthorized")
UNAVAILABLE = (Code.UNAVAILABLE, "identity")


@pytest.mark.parametrize(("key", "kid", "algorithm"), [(RSA, "one", "RS256"), (EC, "two", "ES256")])
async def test_a_token_of_the_issuer_says_who_sends_it(tokens, key, kid, algorithm):
    principal = await tokens.principal(token(key, kid, algorithm))
    assert (principal.kind, principal.name, principal.credential) == (
        "token",
        "token:dr-1",
        "token-7",
    )
    assert principal.roles == {Role.PREDICT, Role.FEEDBACK}
    assert principal.pipelines is None
    again = await tokens.principal(token(key, kid, algorithm, jti="another"))
    assert again.id == principal.id
    other = await tokens.principal(token(key, kid, algorithm, sub="dr-2"))
    assert other.id != principal.id


def unsigned(header, payload, signature=b""):
    parts = [json.dumps(part).encode() for part in (header, payload)] + [signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def swapped():
    """Signed by HS256, with the public key as the shared secret."""
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = unsigned({"alg": "HS256", "typ": "JWT", "kid": "one"}, claims()).rstrip(".")
    signature = hmac.digest(pem, head.encode(), hashlib.sha256)
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


NOW = int(time.time())
FORGED = {
    "no signature": unsigned({"alg": "none", "kid": "one"}, claims()),
    "no signature, other case": unsigned({"alg": "None", "kid": "one"}, claims()),
    "no algorithm": unsigned({"kid": "one"}, claims()),
    "a list for an algorithm": unsigned({"alg": ["RS256"], "kid": "one"}, claims()),
    "the public key as a secret": swapped(),
    "an algorithm that is not accepted": token(algorithm="RS512"),
    "the algorithm of another key": token(RSA, "two"),
    "another key under the id": token(OTHER_RSA),
    "a key of another kind under the id": token(EC, "one", "ES256"),
    "no id where there are two keys": token(kid=None),
    "an id that is no text": unsigned({"alg": "RS256", "kid": {"a": 1}}, claims()),
    "another issuer": token(iss="https://issuer.example/"),
    "another audience": token(aud="another"),
    "other audiences": token(aud=["another", "second-opinion-2"]),
    "no audience": token(aud=None),
    "no issuer": token(iss=None),
    "no subject": token(sub=None),
    "an empty subject": token(sub=""),
    "no end": token(exp=None),
    "expired": token(exp=NOW - 60),
    "an end that is no number": token(exp="tomorrow"),
    "not yet valid": token(nbf=NOW + HOUR),
    "made in the future": token(iat=NOW + HOUR),
    "a subject with a line break": token(sub="dr-1\nadmin"),
    "a subject of 1000 letters": token(sub="x" * 1000),
    "not JSON": "eyJhbGciOiJSUzI1NiJ9.AAAA.AAAA",
    "dots": "..",
    "not ASCII": "é.é.é",
    "too long": token(more="x" * 20_000),
    "a changed claim": token()[:-20] + "A" * 20,
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED)
async def test_a_token_that_is_not_the_issuers_or_not_for_this_service_is_refused(tokens, text):
    assert looks_like_token(text)
    assert await refusal(tokens, text) == UNAUTHORIZED


async def test_clocks_may_differ_by_the_leeway(issuer, clock):
    late = token(exp=int(time.time()) - 10)
    await made(issuer, clock).principal(late)
    assert await refusal(made(issuer, clock, leeway_seconds=0), late) == UNAUTHORIZED


async def test_roles_and_pipelines_come_from_the_configured_claims(issuer, clock):
    tokens = made(
        issuer,
        clock,
        roles_claim="realm_access.roles",
        pipelines_claim="https://clinic.example/groups",
        pipelines="derma=mhist,derma=snake_species,all=*",
        name_claim="org",
    )
    group = "https://clinic.example/groups"

    async def principal(groups, roles):
        more = {group: groups, "realm_access": {"roles": roles}, "org": "north", "roles": None}
        return await tokens.principal(token(**more))

    derma = await principal(["derma", "unknown"], ["so-admin", "unknown"])
    assert derma.pipelines == {"mhist", "snake_species"}
    assert derma.roles == {Role.OPERATE}
    assert derma.name == "token:north"
    assert (await principal("all words", "so-user so-admin")).pipelines is None
    for nothing in (None, [], "", 7, {"derma": 1}, [1, None]):
        none = await principal(nothing, nothing)
        assert (none.pipelines, none.roles) == (frozenset(), frozenset())
    assert await refusal(tokens, token(**{group: ["all"]})) == UNAUTHORIZED


async def test_a_claim_makes_nobody_the_owner_of_a_key(tokens):
    principal = await tokens.principal(token(sub="front-desk"))
    with pytest.raises(ApiKeyError):
        Grant(principal.name, frozenset({Role.PREDICT})).check()


async def test_without_a_mapping_the_values_are_names_of_pipelines_and_none_means_all(
    issuer, clock
):
    tokens = made(issuer, clock, pipelines_claim="scope")
    principal = await tokens.principal(token(scope="mhist *"))
    assert principal.may(Role.PREDICT, "mhist")
    assert not principal.may(Role.PREDICT, "oral_cancer")


async def test_known_tokens_go_on_while_the_issuer_is_away(tokens, issuer, clock):
    known = token()
    await tokens.principal(known)
    issuer.away = True
    with capture_logs() as lines:
        for _ in range(HOUR // 300):
            clock.seconds += 300
            await tokens.jwks.refresh()
            assert (await tokens.principal(known)).name == "token:dr-1"
        clock.seconds = 24 * HOUR
        await tokens.principal(known)
        clock.seconds += 1
        assert await refusal(tokens, known) == UNAVAILABLE
        issuer.away = False
        await tokens.jwks.refresh()
        await tokens.principal(known)
    assert [line["event"] for line in lines] == [
        "public keys of tokens cannot be read",
        "public keys of tokens can be read again",
    ]


async def test_unknown_ids_make_the_issuer_be_asked_at_most_once_in_30_seconds(
    tokens, issuer, clock
):
    await tokens.principal(token())
    asked = issuer.asked
    unknown = [token(OTHER_RSA, f"id-{number}") for number in range(20)]
    for second in range(120):
        clock.seconds += 1
        for text in unknown:
            assert await refusal(tokens, text) == UNAUTHORIZED
        assert issuer.asked - asked <= 1 + second // 30
    assert issuer.asked - asked == 4


async def test_a_new_key_of_the_issuer_is_found(tokens, issuer, clock):
    await tokens.principal(token())
    issuer.keys = key_set(jwk(OTHER_RSA.public_key(), "three"))
    clock.seconds += 30
    await tokens.principal(token(OTHER_RSA, "three"))
    # A key that the issuer took back is not kept.
    assert await refusal(tokens, token()) == UNAUTHORIZED


async def test_a_slow_issuer_keeps_nobody_waiting_but_for_a_moment(clock, monkeypatch):
    monkeypatch.setattr("gateway.identity.jwks._PATIENCE", 0.05)
    go_on = threading.Event()

    def slow():
        go_on.wait(30)
        return KEYS

    tokens = made(slow, clock)
    calls = [refusal(tokens, token()) for _ in range(50)]
    assert set(await asyncio.gather(*calls)) == {UNAVAILABLE}
    go_on.set()
    await tokens.jwks.refresh()
    assert (await tokens.principal(token())).name == "token:dr-1"


async def test_a_set_that_cannot_be_read_leaves_the_old_one(tokens, issuer):
    await tokens.principal(token())
    private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(OTHER_RSA)) | {"kid": "one"}
    shared = {"kty": "oct", "k": "AAAA", "kid": "one", "alg": "HS256"}
    for content in (
        b"",
        b"{}",
        b"[]",
        b'{"keys": []}',
        b'{"keys": [7]}',
        b'{"keys": 7}',
        b"\xff",
        key_set(private),
        key_set(shared),
        key_set(jwk(RSA.public_key(), "one", use="enc")),
        key_set({"kty": "RSA", "kid": "one", "n": "AAAA"}),
        key_set(jwk(RSA.public_key(), ["one"])),
        key_set(jwk(RSA.public_key(), [])),
        key_set(jwk(RSA.public_key(), "one", alg=["RS256"])),
        key_set(jwk(RSA.public_key(), "one", use=["sig"])),
        b"[" * 200_000,
    ):
        with pytest.raises(JwksError):
            parse(content, ALGORITHMS)
        issuer.keys = content
        await tokens.jwks.refresh()
        await tokens.principal(token())


def test_a_file_of_keys_is_read(tmp_path):
    path = tmp_path / "jwks.json"
    with pytest.raises(JwksError, match="FileNotFoundError"):
        read_file(str(path))
    path.write_bytes(KEYS)
    assert {kid for kid, _ in parse(read_file(str(path)), ALGORITHMS)} == {"one", "two"}
    path.write_bytes(b" " * (1024 * 1024 + 1))
    with pytest.raises(JwksError, match="more than a MiB"):
        read_file(str(path))


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response({"/moved": 302, "/gone": 404}.get(self.path, 200))
            self.send_header("Location", "/keys")
            self.end_headers()
            self.wfile.write(KEYS if self.path != "/large" else b" " * (1024 * 1024 + 1))

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_keys_are_fetched_from_their_address_alone(server):
    assert read_url(f"{server}/keys") == KEYS
    for path in ("moved", "gone", "large"):
        with pytest.raises(JwksError):
            read_url(f"{server}/{path}")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"jwks": "http://issuer.example/keys"}, "use https, or a file"),
        ({"jwks": "ftp://127.0.0.1/keys"}, "use https, or a file"),
        ({"algorithms": "HS256"}, "choose from"),
        ({"algorithms": "none"}, "choose from"),
        ({"roles": "so-user"}, "write VALUE=NAME"),
        ({"roles": "so-user=admin"}, "there are the roles predict, feedback"),
        ({"audience": None}, "give all or none"),
        ({"roles": ()}, "give all or none"),
    ],
)
def test_settings_that_would_let_in_more_than_meant_are_refused(changes, problem):
    with pytest.raises(ValidationError, match=problem):
        TokenSettings(**SETTINGS | changes)


def test_keys_may_come_over_http_from_this_machine():
    assert TokenSettings(**SETTINGS | {"jwks": "http://127.0.0.1:9/keys"}).jwks_is_url
    assert not TokenSettings(**SETTINGS | {"jwks": "/etc/jwks.json"}).jwks_is_url
    assert not TokenSettings().configured
