import time

import pytest

from gateway.errors import RefusedError
from gateway.http.access import SESSION, TOKEN
from gateway.identity.principal import Role
from gateway.identity.sessions import Sessions
from tests.unit.gateway.samples import JPEG, RAW, assert_problem

pytestmark = pytest.mark.anyio
PREDICT = "/api/v1/predict"


@pytest.fixture
async def client(start):
    return await start(auth="required")


async def log_in(client, key):
    answer = await client.post("/api/v1/session", json={"key": key})
    assert answer.status_code == 200, answer.text
    return answer.json()["csrf_token"]


async def test_a_login_lets_the_browser_in_until_it_logs_out(client, new_key):
    key = new_key(name="ward", roles=(Role.PREDICT,))
    assert_problem(await client.get("/api/v1/pipelines"), 401, "unauthorized")
    answer = await client.post("/api/v1/session", json={"key": key})
    assert answer.json() == {
        "name": "ward",
        "kind": "key",
        "roles": ["predict"],
        "pipelines": None,
        "csrf_token": answer.json()["csrf_token"],
    }
    sent = answer.headers["set-cookie"]
    assert sent.startswith(f"{SESSION}=")
    assert "HttpOnly" in sent
    assert "SameSite=strict" in sent
    assert "Path=/" in sent
    # It ends with the browser, and nobody reads the key in it.
    assert "Max-Age" not in sent
    assert key not in sent
    token = {TOKEN: answer.json()["csrf_token"]}
    assert (await client.get("/api/v1/pipelines")).status_code == 200
    assert (await client.post(PREDICT, content=JPEG, headers=RAW | token)).status_code == 200
    who = (await client.get("/api/v1/session")).json()
    assert who["csrf_token"] == token[TOKEN]
    assert (await client.delete("/api/v1/session", headers=token)).status_code == 204
    assert SESSION not in client.cookies
    assert_problem(await client.get("/api/v1/pipelines"), 401, "unauthorized")


async def test_over_https_the_cookie_is_for_https_alone(client, new_key):
    answer = await client.post("https://gateway/api/v1/session", json={"key": new_key()})
    assert "Secure" in answer.headers["set-cookie"]


async def test_another_page_cannot_send_for_a_session(client, new_key):
    token = await log_in(client, new_key())
    assert_problem(await client.post(PREDICT, content=JPEG, headers=RAW), 403, "forbidden")
    for wrong in ("", token[:-1], token.swapcase(), "\xff"):
        headers = {**RAW, TOKEN: wrong.encode("latin-1")}
        answer = await client.post(PREDICT, content=JPEG, headers=headers)
        assert_problem(answer, 403, "forbidden")
    assert_problem(await client.delete("/api/v1/session"), 403, "forbidden")
    # A form of another page is no JSON.
    answer = await client.post(
        "/api/v1/session", content='{"key": "x"}', headers={"content-type": "text/plain"}
    )
    assert_problem(answer, 415, "content_type_unsupported")


async def test_the_token_of_another_session_is_none_of_this_one(client, new_key):
    first = await log_in(client, new_key())
    client.cookies.clear()
    await log_in(client, new_key("other"))
    answer = await client.post(PREDICT, content=JPEG, headers={**RAW, TOKEN: first})
    assert_problem(answer, 403, "forbidden")


async def test_keys_in_headers_need_no_token_and_go_before_the_session(client, new_key):
    await log_in(client, new_key("ward"))
    header = {"X-API-Key": new_key("machine")}
    assert (await client.get("/api/v1/session", headers=header)).json()["name"] == "machine"
    assert (await client.post(PREDICT, content=JPEG, headers=RAW | header)).status_code == 200


@pytest.mark.parametrize("key", ["wrong", "so_x_y", "\u20ac", "\ud800"])
async def test_a_key_that_is_not_known_gets_no_cookie(client, key):
    body = b'{"key": "' + key.encode("utf-8", "surrogatepass") + b'"}'
    answer = await client.post(
        "/api/v1/session", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in {401, 422}
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"key": 1}', '{"key": ""}', "{" * 5000])
async def test_a_body_without_a_key_is_refused(client, body):
    answer = await client.post(
        "/api/v1/session", content=body, headers={"content-type": "application/json"}
    )
    assert_problem(answer, 422, "field_missing")


async def test_a_body_that_is_too_large_is_refused(client):
    answer = await client.post("/api/v1/session", json={"key": "x" * 20_000})
    assert_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize("cookie", ["", "x", "AAAA" * 20, "A" * 9000, "\xe9"])
async def test_a_cookie_that_is_no_session_is_refused(client, cookie):
    headers = {"cookie": f"{SESSION}={cookie}".encode("latin-1")}
    answer = await client.get("/api/v1/pipelines", headers=headers)
    assert_problem(answer, 401, "unauthorized")


async def test_a_changed_cookie_is_no_session(client, new_key):
    await log_in(client, new_key())
    cookie = client.cookies[SESSION]
    client.cookies.clear()
    for at in range(0, len(cookie), 7):
        changed = cookie[:at] + ("A" if cookie[at] != "A" else "B") + cookie[at + 1 :]
        headers = {"cookie": f"{SESSION}={changed}"}
        answer = await client.get("/api/v1/pipelines", headers=headers)
        assert_problem(answer, 401, "unauthorized")


async def test_a_session_ends_with_its_key(client, new_key, key_store):
    key = new_key()
    await log_in(client, key)
    assert (await client.get("/api/v1/pipelines")).status_code == 200
    key_store.revoke(key.split("_")[1])
    await client._transport.app.state.authenticator.keys.look()
    assert_problem(await client.get("/api/v1/pipelines"), 401, "unauthorized")


async def test_where_identity_is_off_everyone_is_in_and_gets_no_cookie(start):
    client = await start()
    who = (await client.get("/api/v1/session")).json()
    assert (who["kind"], who["csrf_token"]) == ("open", None)
    assert set(who["roles"]) == set(Role)
    answer = await client.post("/api/v1/session", json={"key": "any"})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    # One that is left of another time does no harm.
    headers = {**RAW, "cookie": f"{SESSION}=old"}
    assert (await client.post(PREDICT, content=JPEG, headers=headers)).status_code == 200


def test_a_session_is_over_after_its_time_and_for_another_secret():
    now = [1000.0]
    sessions = Sessions(60, b"a" * 32, now=lambda: now[0])
    cookie = sessions.seal("so_key")
    assert sessions.open(cookie) == "so_key"
    assert sessions.seal("so_key") != cookie
    now[0] += 59.9
    assert sessions.open(cookie) == "so_key"
    now[0] += 0.1
    with pytest.raises(RefusedError, match="Log in again"):
        sessions.open(cookie)
    now[0] = time.time()
    with pytest.raises(RefusedError):
        Sessions(60, b"b" * 32).open(sessions.seal("so_key"))
