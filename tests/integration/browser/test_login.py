"""The login: a key once, a cookie that no script reads, and the end of it."""

import json
import os
import subprocess
import sys

import pytest

from tests.chromium import PIPELINES, PREDICT, Tab, photo
from tests.integration.browser import answers
from tests.integration.gateway import gateway
from tests.integration.service import ROOT, free_ports


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """The address of a gateway that wants a key, and a key that it knows."""
    folder = tmp_path_factory.mktemp("locked")
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
    with gateway(free_ports(1)[0], **settings) as client:
        yield str(client.base_url), json.loads(made.stdout)["key"]


@pytest.fixture
def tab(chromium, locked):
    opened = Tab(chromium, locked[0])
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
