"""The login: a key or an account once, a cookie that no script reads, and the end of it."""

import json
import os
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from tests import issuer as issuers
from tests.chromium import PIPELINES, PREDICT, Tab, photo
from tests.integration.browser import answers
from tests.integration.gateway import gateway
from tests.integration.service import ROOT, free_ports

AT_THE_ISSUER = "form[method=post] button"


@pytest.fixture(scope="module")
def issuer():
    with issuers.running() as running:
        yield running


@pytest.fixture(autouse=True)
def _right_claims(issuer):
    issuer.claims = {}


@pytest.fixture(scope="module")
def locked(tmp_path_factory, issuer):
    """The address of a gateway that wants a key or a login, and a key that it knows."""
    folder = tmp_path_factory.mktemp("locked")
    secret = folder / "client-secret"
    secret.write_text(issuers.SECRET)
    settings = {
        "GATEWAY_AUTH": "required",
        "GATEWAY_DATABASE_URL": f"sqlite:///{folder}/gateway.db",
        "GATEWAY_SECRETS_DIR": str(folder / "secrets"),
    }
    command = [
        sys.executable,
        "-m",
        "gateway",
        "keys",
        "create",
        "--name",
        "ward",
        "--role",
        "predict",
    ]
    made = subprocess.run(
        [*command, "--json"],
        cwd=ROOT,
        env=os.environ | settings,
        check=True,
        stdout=subprocess.PIPE,
        timeout=120,
    )
    of_the_issuer = lambda url: issuer.settings(f"{url}/", secret)  # noqa: E731
    with gateway(free_ports(1)[0], of_the_issuer, **settings) as client:
        yield str(client.base_url), json.loads(made.stdout)["key"]


@pytest.fixture
def tab(chromium, locked, issuer):
    opened = Tab(chromium, locked[0])
    opened.hosts.add(urlsplit(issuer.url).netloc)
    opened.open()
    yield opened
    opened.close()


def log_in(tab, key):
    tab.page.wait_for_selector("form.login")
    tab.page.fill("#key", key)
    tab.page.click("form.login button")


def test_a_wrong_key_is_told_and_a_right_one_lets_in(tab, locked):
    key = locked[1]
    log_in(tab, "so_wrong")
    tab.wait_for_text("#key-note", "not known")
    assert tab.page.context.cookies() == []
    tab.answer(PIPELINES, answers.offered(answers.described()))
    log_in(tab, key)
    tab.page.wait_for_selector(".chooser")
    assert "Logged in: ward" in tab.text("header")
    (cookie,) = tab.page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, "Strict", -1)
    assert key not in cookie["value"]
    kept = "() => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage })"
    assert tab.page.evaluate(kept) == "{}"
    tab.page.reload()
    tab.page.wait_for_selector(".chooser")
    # The real gateway lets the photo in by cookie and token; without a Triton it has no answer.
    with tab.page.expect_response(PREDICT) as answered:
        tab.choose(photo(b"\xff\xd8\xff"))
    assert answered.value.status not in {401, 403}
    tab.page.click("text=Log out")
    tab.page.wait_for_selector("form.login")
    assert tab.page.context.cookies() == []
    assert tab.page.locator(".entry").count() == 0


def test_a_page_of_another_site_cannot_use_the_session(tab, locked):
    tab.answer(PIPELINES, answers.offered(answers.described()))
    log_in(tab, locked[1])
    tab.page.wait_for_selector(".chooser")
    refused = tab.page.evaluate(
        """() => fetch("api/v1/predict", { method: "POST", body: "x" })
            .then(async (answer) => [answer.status, (await answer.json()).code])"""
    )
    assert refused == [403, "forbidden"]


def test_an_account_of_the_issuer_lets_in_and_is_logged_out_there_too(tab, issuer):
    tab.answer(PIPELINES, answers.offered(answers.described()))
    tab.page.click("text=Log in with your account")
    # On a page of another site: from there a SameSite=Strict cookie would not come along.
    tab.page.click(AT_THE_ISSUER)
    tab.page.wait_for_selector(".chooser")
    assert "Logged in: dr-1" in tab.text("header")
    assert tab.page.url == f"{tab.url}/"
    (cookie,) = tab.page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, "Strict", -1)
    kept = "() => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage })"
    assert tab.page.evaluate(kept) == "{}"
    tab.page.reload()
    tab.page.wait_for_selector(".chooser")
    with tab.page.expect_response(PREDICT) as answered:
        tab.choose(photo(b"\xff\xd8\xff"))
    assert answered.value.status not in {401, 403}
    tab.page.click("text=Log out")
    tab.page.wait_for_url(f"{issuer.url}/logout?*")
    assert tab.page.context.cookies() == []
    assert issuer.refusals == []


def test_a_login_that_comes_to_nothing_is_told_in_words(tab, issuer):
    issuer.claims = {"nonce": "another"}
    tab.page.click("text=Log in with your account")
    tab.page.click(AT_THE_ISSUER)
    tab.wait_for_text("form.login [role=alert]", "not valid here")
    assert tab.page.url == f"{tab.url}/"
    assert tab.page.context.cookies() == []
    issuer.claims = {"roles": []}
    tab.page.click("text=Log in with your account")
    tab.page.click(AT_THE_ISSUER)
    tab.wait_for_text("form.login [role=alert]", "Ask its operator for a role")


def test_photos_wait_here_while_somebody_logs_in_beside_them(tab, locked):
    tab.answer(PIPELINES, answers.offered(answers.described()))
    log_in(tab, locked[1])
    tab.page.wait_for_selector(".chooser")
    tab.context.clear_cookies()
    tab.choose(photo(b"\xff\xd8\xff"))
    tab.wait_for_text("form.login [role=alert]", "photos that wait are still here")
    with tab.context.expect_page() as opened:
        tab.page.click("text=Log in with your account")
    opened.value.click(AT_THE_ISSUER)
    opened.value.wait_for_url(f"{tab.url}/")
    opened.value.wait_for_selector("header >> text=dr-1")
    opened.value.close()
    tab.answer(PREDICT, answers.decision())
    tab.page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    tab.wait_for_text(".progress-words", "1 of 1 answered")
    assert "Logged in: dr-1" in tab.text("header")
