"""The page's login at an OpenID Connect issuer, before one that is strict."""

import json
import re
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from gateway.http.access import SESSION, TOKEN
from gateway.http.oidc_routes import LOGIN
from gateway.identity.oidc_settings import OidcSettings
from gateway.secret_files import SecretError
from gateway.settings import Settings
from tests import issuer as issuers
from tests.unit.gateway.samples import JPEG, RAW, assert_problem

pytestmark = pytest.mark.anyio

PAGE = "http://127.0.0.1:8080/"
BEGIN, CALLBACK = "/api/v1/session/oidc", "/api/v1/session/oidc/callback"
PREDICT = "/api/v1/predict"


@pytest.fixture
def issuer():
    with issuers.running() as running:
        yield running


@pytest.fixture
def configured(issuer, tmp_path, monkeypatch):
    """The issuer, with the gateway's settings for it."""
    secret = tmp_path / "client-secret"
    secret.write_text(f"{issuers.SECRET}\n")
    monkeypatch.setenv("GATEWAY_AUTH", "required")
    for name, value in issuer.settings(PAGE, secret).items():
        monkeypatch.setenv(name, value)
    return issuer


@pytest.fixture
async def client(start, configured):
    return await start(auth="required")


async def begin(client):
    """Where the gateway sends a browser to."""
    answer = await client.get(BEGIN)
    assert answer.status_code == 303
    return answer.headers["location"]


async def returned(client):
    """The address that the issuer sends the browser back to."""
    asked = await begin(client)
    async with httpx.AsyncClient() as browser:
        answer = await browser.post(asked)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def come_back(client, address, pending=None):
    """The gateway's answer; the cookie of the login is the browser's, or the given one."""
    url = urlsplit(address)
    headers = {} if pending is None else {"cookie": f"{LOGIN}={pending}"}
    return await client.get(f"{url.path}?{url.query}", headers=headers)


def word(answer):
    """Why the page is told that a login failed; None: it did not."""
    assert answer.status_code == 200
    found = re.search(r'url=../../../../(?:#login=(\w+))?"', answer.text)
    assert found, answer.text
    return found[1]


async def fails(client, address, pending=None):
    """The word, where nobody is logged in afterwards."""
    answer = await come_back(client, address, pending)
    assert SESSION not in client.cookies
    assert LOGIN not in client.cookies
    assert_problem(await client.get("/api/v1/pipelines"), 401, "unauthorized")
    return word(answer)


async def test_a_login_at_the_issuer_lets_the_browser_in_until_it_logs_out(client, configured):
    assert (await client.get("/api/v1/session/ways")).json() == {
        "oidc": True,
        "logout": f"{configured.url}/logout?client_id=second-opinion-page"
        "&post_logout_redirect_uri=http%3A%2F%2F127.0.0.1%3A8080%2F",
    }
    answer = await come_back(client, await returned(client))
    assert word(answer) is None
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    (sent,) = [each for each in answer.headers.get_list("set-cookie") if each.startswith(SESSION)]
    assert "HttpOnly" in sent
    assert "SameSite=strict" in sent
    assert "Max-Age" not in sent
    assert "dr-1" not in sent
    who = (await client.get("/api/v1/session")).json()
    token = who.pop("csrf_token")
    assert who == {
        "name": "token:dr-1",
        "kind": "token",
        "roles": ["feedback", "predict"],
        "pipelines": ["oral_cancer"],
    }
    assert len((await client.get("/api/v1/pipelines")).json()["pipelines"]) == 1
    assert_problem(await client.post(PREDICT, content=JPEG, headers=RAW), 403, "forbidden")
    headers = RAW | {TOKEN: token}
    assert (await client.post(PREDICT, content=JPEG, headers=headers)).status_code == 200
    assert_problem(await client.get("/metrics"), 403, "forbidden")
    assert (await client.delete("/api/v1/session", headers={TOKEN: token})).status_code == 204
    assert_problem(await client.get("/api/v1/pipelines"), 401, "unauthorized")


async def test_the_way_to_the_issuer_is_one_that_nobody_else_can_end(client, configured):
    first, second = await begin(client), await begin(client)
    assert first.startswith(f"{configured.url}/authorize?realm=clinic&response_type=code&")
    asked = {name: value for name, (value,) in parse_qs(urlsplit(first).query).items()}
    other = parse_qs(urlsplit(second).query)
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) >= 43
        assert other[name] != [asked[name]]
    answer = await client.get(BEGIN)
    (cookie,) = answer.headers.get_list("set-cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age=600" in cookie
    value = cookie.partition("=")[2].partition(";")[0]
    assert parse_qs(urlsplit(answer.headers["location"]).query)["state"][0] not in value


async def test_over_https_both_cookies_are_for_https_alone(start, configured, monkeypatch):
    monkeypatch.setenv("GATEWAY_OIDC_PAGE_URL", "https://second-opinion.example/here")
    configured.pages.add("https://second-opinion.example/here/api/v1/session/oidc/callback")
    client = await start(auth="required")
    client.base_url = "https://gateway"
    assert "Secure" in (await client.get(BEGIN)).headers["set-cookie"]
    answer = await come_back(client, (await returned(client)).replace("/here", ""))
    assert word(answer) is None
    assert all("Secure" in each for each in answer.headers.get_list("set-cookie"))


async def test_another_state_or_none_ends_no_login(client, configured):
    address = await returned(client)
    state = parse_qs(urlsplit(address).query)["state"][0]
    for wrong in ("", state[:-1], state.swapcase(), "\u20ac"):
        await begin(client)
        assert await fails(client, address.replace(state, wrong)) == "stale"
    # The state of a login that another browser began.
    await begin(client)
    assert await fails(client, address) == "stale"
    # None of them was exchanged.
    assert len(configured.seen) == 1


async def test_who_began_no_login_ends_none(client, configured):
    address = await returned(client)
    client.cookies.clear()
    assert await fails(client, address) == "stale"
    for wrong in ("", "A" * 80, "A" * 9000, "{}"):
        assert await fails(client, address, wrong) == "stale"


async def test_a_login_ends_once(client, configured):
    address = await returned(client)
    pending = client.cookies[LOGIN]
    assert word(await come_back(client, address)) is None
    assert LOGIN not in client.cookies
    client.cookies.clear()
    assert await fails(client, address) == "stale"
    # Also with a copy of its cookie: the issuer takes a code once.
    assert await fails(client, address, pending) == "refused"
    assert configured.refusals == ["no such code, or one that was used"]


async def test_a_login_that_took_too_long_is_over(client, configured, monkeypatch):
    monkeypatch.setattr("gateway.identity.sessions.LOGIN_SECONDS", 0)
    address = await returned(client)
    assert await fails(client, address) == "stale"


NOW = int(time.time())
WRONG = {
    "another nonce": {"nonce": "n" * 43},
    "no nonce": {"nonce": None},
    "a nonce that is no text": {"nonce": 1},
    "another issuer": {"iss": "http://localhost:1"},
    "another audience": {"aud": "second-opinion"},
    "several audiences and no party": {"aud": ["second-opinion-page", "another"]},
    "another party": {"aud": ["second-opinion-page", "another"], "azp": "another"},
    "expired": {"exp": NOW - 3600},
    "no end": {"exp": None},
    "not yet valid": {"nbf": NOW + 3600},
    "made in the future": {"iat": NOW + 3600},
    "not said when it was made": {"iat": None},
    "no subject": {"sub": None},
    "a subject with a line break": {"sub": "dr-1\nadmin"},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
async def test_an_id_token_that_is_not_for_this_login_is_refused(client, configured, claims):
    configured.claims = claims
    assert await fails(client, await returned(client)) == "refused"


async def test_an_id_token_of_another_key_is_refused(client, configured):
    configured.key = issuers.OTHER_KEY
    assert await fails(client, await returned(client)) == "refused"


@pytest.mark.parametrize(
    "answer",
    [{"id_token": 1}, {"id_token": "a.b.c"}, {"id_token": None}, {"access_token": "x"}, [1], "x"],
)
async def test_an_answer_without_a_right_id_token_is_refused(client, configured, answer):
    configured.answer = answer
    assert await fails(client, await returned(client)) == "refused"


async def test_several_audiences_with_the_page_as_their_party_are_right(client, configured):
    configured.claims = {"aud": ["another", "second-opinion-page"], "azp": "second-opinion-page"}
    assert word(await come_back(client, await returned(client))) is None


async def test_the_answer_of_another_issuer_is_refused_before_its_code_is_sent(client, configured):
    address = await returned(client)
    before = len(configured.seen)
    answer = await come_back(client, re.sub("iss=[^&]*", "iss=http://other.example", address))
    assert word(answer) == "refused"
    assert len(configured.seen) == before


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("access_denied", "denied"),
        ("temporarily_unavailable", "unavailable"),
        ("<script>alert(1)</script>", "denied"),
    ],
)
async def test_an_issuer_that_says_no_is_told(client, configured, error, told):
    state = parse_qs(urlsplit(await begin(client)).query)["state"][0]
    query = urlencode({"error": error, "state": state})
    assert await fails(client, f"{PAGE}{CALLBACK[1:]}?{query}") == told


async def test_while_the_issuer_is_away_the_login_says_so(client, configured):
    address = await returned(client)
    configured.away = True
    assert await fails(client, address) == "unavailable"


async def test_who_has_no_role_is_not_logged_in(client, configured):
    configured.claims = {"roles": ["nurse"]}
    assert await fails(client, await returned(client)) == "no_role"


async def test_more_pipelines_than_a_cookie_has_room_for_are_told(start, configured, monkeypatch):
    many = {f"pipeline_{number:03}" for number in range(300)}
    pairs = ",".join(f"mouth={name}" for name in many)
    monkeypatch.setenv("GATEWAY_TOKEN_PIPELINES", pairs)
    client = await start(auth="required")
    assert await fails(client, await returned(client)) == "too_many"


async def test_changed_settings_end_the_sessions(start, client, monkeypatch):
    assert word(await come_back(client, await returned(client))) is None
    cookie = {"cookie": f"{SESSION}={client.cookies[SESSION]}"}
    same = await start(auth="required")
    assert (await same.get("/api/v1/pipelines", headers=cookie)).status_code == 200
    monkeypatch.setenv("GATEWAY_TOKEN_ROLES", "so-user=predict")
    changed = await start(auth="required")
    answer = await changed.get("/api/v1/pipelines", headers=cookie)
    assert_problem(answer, 401, "unauthorized")
    for name in ("CLIENT_ID", "CLIENT_SECRET_FILE", "AUTHORIZATION_URL", "TOKEN_URL"):
        monkeypatch.delenv(f"GATEWAY_OIDC_{name}")
    for name in ("LOGOUT_URL", "PAGE_URL"):
        monkeypatch.delenv(f"GATEWAY_OIDC_{name}")
    without = await start(auth="required")
    answer = await without.get("/api/v1/pipelines", headers=cookie)
    assert_problem(answer, 401, "unauthorized")
    assert (await without.get("/api/v1/session/ways")).json() == {"oidc": False, "logout": None}
    assert_problem(await without.get(BEGIN), 404, "not_found")


async def test_a_cookie_of_one_kind_is_none_of_another(client, new_key):
    await begin(client)
    pending = client.cookies[LOGIN].strip('"')
    key = new_key()
    await client.post("/api/v1/session", json={"key": key})
    ours = client.cookies[SESSION].strip('"')
    assert word(await come_back(client, await returned(client))) is None
    account = client.cookies[SESSION].strip('"')
    assert account.startswith("account.")
    client.cookies.clear()
    for forged in (
        pending,
        f"account.{pending}",
        f"account.{ours}",
        account.removeprefix("account."),
    ):
        answer = await client.get("/api/v1/pipelines", headers={"cookie": f"{SESSION}={forged}"})
        assert_problem(answer, 401, "unauthorized")


async def test_neither_codes_nor_secrets_are_logged(client, configured):
    with capture_logs() as lines:
        address = await returned(client)
        await come_back(client, address)
        await come_back(client, address)
    text = json.dumps(lines, default=str)
    query = parse_qs(urlsplit(address).query)
    for secret in (query["code"][0], query["state"][0], issuers.SECRET, "eyJ"):
        assert secret not in text
    assert any(line.get("route") == "session" for line in lines)


async def test_where_identity_is_off_there_is_nothing_to_log_in_to(start):
    client = await start()
    assert (await client.get("/api/v1/session/ways")).json() == {"oidc": False, "logout": None}
    assert_problem(await client.get(BEGIN), 404, "not_found")


async def test_a_secret_that_cannot_be_read_stops_the_start(start, configured, tmp_path):
    (tmp_path / "client-secret").write_text("\n")
    with pytest.raises(SecretError, match="it is empty"):
        await start(auth="required")
    (tmp_path / "client-secret").unlink()
    with pytest.raises(SecretError, match="No such file"):
        await start(auth="required")


WHOLE = {
    "client_id": "page",
    "authorization_url": "https://issuer.example/authorize",
    "token_url": "https://issuer.example/token",
    "page_url": "https://page.example",
}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"client_id": None}, "give all or none"),
        ({"token_url": None}, "give all or none"),
        ({"page_url": None}, "give all or none"),
        ({"authorization_url": "http://issuer.example/"}, "use https"),
        ({"token_url": "http://issuer.example/"}, "use https"),
        ({"page_url": "http://page.example/"}, "use https"),
        ({"logout_url": "javascript:alert(1)"}, "use https"),
        ({"page_url": "https://page.example/?a=b"}, "alone"),
        ({"scope": "profile"}, "add openid"),
        ({"scope": "openid\nprofile"}, "pattern"),
    ],
)
def test_settings_that_are_not_whole_or_not_safe_are_refused(changes, why):
    assert OidcSettings(**WHOLE).page_url == "https://page.example/"
    with pytest.raises(ValidationError, match=why):
        OidcSettings(**WHOLE | changes)


def test_a_login_needs_to_know_what_tokens_mean():
    with pytest.raises(ValidationError, match="GATEWAY_TOKEN_ISSUER"):
        Settings(auth="required", oidc=OidcSettings(**WHOLE))
