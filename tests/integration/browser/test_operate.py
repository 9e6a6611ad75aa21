"""For operators and auditors: what serves, live figures, the audit log."""

import json
import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.chromium import SESSION
from tests.integration.browser import answers

METRICS, SERVED, AUDIT = "**/metrics", "**/api/v1/served", "**/api/v1/audit?*"
NONE = "\N{EN DASH}"
ID = "01a22c91-0000-7000-8000-000000000000"


class Gateway:
    """Answers /metrics with what a real gateway counts after so many images."""

    def __init__(self, tab) -> None:
        self.reads = 0
        self.images = 100
        self.started = 1_796_000_000.0
        tab.answer("**/api/v1/usage?*", answers.usage())
        tab.route(METRICS, self._answer)

    def _answer(self, route) -> None:
        self.reads += 1
        route.fulfill(
            content_type="text/plain",
            body=answers.metrics(
                started=self.started, answered=self.images, quick=self.images // 2, refused=2
            ),
        )


def cells(tab, section):
    """Of the first row of a part's first table."""
    row = tab.page.locator(f"section:has(> #{section}) tbody tr").first
    return [text.strip() for text in row.locator("th, td").all_inner_texts()]


def operate(tab):
    tab.page.click("nav >> text=Operate")


def search(tab):
    tab.page.click(".sheet form button")


def test_what_serves_says_since_when_and_on_what_evidence(open_tab):
    pipeline = answers.described()
    tab = open_tab(pipeline)
    Gateway(tab)
    tab.answer(SERVED, answers.served(pipeline["release"]))
    operate(tab)
    tab.wait_for_text("tbody", "Nov 3, 2026")
    row = " ".join(cells(tab, "served-title"))
    assert "Nov 3, 2026" in row
    assert f"{pipeline['release']} (default)" in row
    assert "Expected calibration error 3% (2% to 5%) on 250 labelled photos; 12% without" in row
    assert "Prediction sets hold the true class in 95% of images." in row
    tab.page.click("text=1 release that answered before")
    assert "1-00000000" in tab.text("details tbody")
    assert "18,230" in tab.text("details tbody")


def test_live_figures_are_those_of_the_metrics_and_stop_while_nobody_looks(open_tab):
    tab = open_tab()
    tab.page.clock.install()
    gateway = Gateway(tab)
    operate(tab)
    tab.wait_for_text("section:has(> #live-title)", "One gateway")
    assert cells(tab, "live-title")[1:] == ["100", "0", "3", NONE, "0", "25%", NONE]
    gateway.images = 140
    tab.page.clock.fast_forward(5000)
    tab.wait_for_text("section:has(> #live-title) td", "140")
    # 20 of the 40 took at most 0.5 s, all of them at most 1 s.
    assert cells(tab, "live-title")[1:] == ["140", "40", "3", "within 1 s", "0", "25%", NONE]
    assert "5 rows wait" in tab.text("section:has(> #live-title)")
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    reads = gateway.reads
    tab.page.evaluate(hide, True)
    tab.page.clock.fast_forward(60_000)
    tab.page.clock.run_for(60_000)
    assert gateway.reads == reads
    # A gateway that started anew counts from its own beginning: nothing is subtracted.
    gateway.started += 100
    gateway.images = 7
    tab.page.evaluate(hide, False)
    tab.wait_for_text("section:has(> #live-title) td", "7")
    assert cells(tab, "live-title")[1:3] == ["7", "0"]
    tab.page.click("text=Stop reading every 5 seconds")
    reads = gateway.reads
    tab.page.clock.run_for(30_000)
    assert gateway.reads == reads


def test_who_covers_named_pipelines_is_told_why_there_are_no_live_figures(open_tab):
    tab = open_tab()
    tab.answer("**/api/v1/usage?*", answers.usage())
    tab.answer(METRICS, answers.problem(403, "forbidden"), 403)
    operate(tab)
    tab.wait_for_text("[role=alert]", "your credentials cover named ones")
    assert tab.page.locator("section:has(> #live-title) tbody").count() == 0


@pytest.mark.parametrize(
    ("roles", "shown"),
    [
        (["operate", "predict"], {"served-title", "live-title", "usage-title"}),
        (["audit"], {"audit-title"}),
        (["predict"], None),
    ],
)
def test_each_role_sees_its_own_part(open_tab, roles, shown):
    tab = open_tab()
    Gateway(tab)
    session = {"name": "ward", "kind": "key", "roles": roles, "pipelines": None}
    tab.answer(SESSION, session | {"csrf_token": "a-token"})
    tab.page.reload()
    tab.page.wait_for_selector(".chooser")
    parts = tab.texts(".part")
    assert ("Operate" in parts) == (shown is not None)
    assert ("Compare" in parts) == ("operate" in roles)
    if shown:
        operate(tab)
        tab.page.wait_for_selector("main h2")
        titles = tab.page.locator("main h2").evaluate_all("found => found.map(({ id }) => id)")
        assert set(titles) == shown


class Log:
    """An audit log of many rows."""

    def __init__(self, tab, count) -> None:
        self.asked: list[dict] = []
        self.left = count
        tab.route(AUDIT, self._answer)

    def _answer(self, route) -> None:
        query = {
            name: value[0] for name, value in parse_qs(urlsplit(route.request.url).query).items()
        }
        self.asked.append(query)
        if query.get("format") == "jsonl":
            line = json.dumps(answers.audit_row())
            route.fulfill(body=f"{line}\n{line}\n", content_type="application/jsonl")
            return
        sent = min(int(query["limit"]), self.left)
        self.left -= sent
        rows = [answers.audit_row() for _ in range(sent)]
        route.fulfill(json={"rows": rows, "next": ID if self.left else None})


def test_the_audit_log_is_searched_page_by_page_and_saved(open_tab, tmp_path):
    tab = open_tab(timezone_id="UTC")
    Gateway(tab)
    log = Log(tab, 60)
    operate(tab)
    tab.page.select_option("#audit-pipeline", "oral_cancer")
    tab.page.fill("#audit-caller", " ward 3 ")
    tab.page.fill("#audit-outcome", "image_format")
    tab.page.fill("#audit-from", "2026-11-01T08:30")
    tab.page.fill("#audit-to", "2026-11-30T00:00")
    tab.page.fill("#audit-id", "0123456789abcdef")
    search(tab)
    tab.wait_for_text("[role=status]", "50 rows so far; there are more")
    filters = {
        "pipeline": "oral_cancer",
        "caller": "ward 3",
        "outcome": "image_format",
        "from": "2026-11-01T08:30:00.000Z",
        "to": "2026-11-30T00:00:00.000Z",
        "request_id": "0123456789abcdef",
    }
    assert log.asked == [filters | {"limit": "50"}]
    tab.page.click("text=Load more")
    tab.wait_for_text("[role=status]", "60 rows")
    assert log.asked[1] == filters | {"limit": "50", "cursor": ID}
    assert tab.page.locator("text=Load more").count() == 0
    with tab.page.expect_download() as saving:
        tab.page.click("text=Save all that were found")
    assert saving.value.suggested_filename == "audit.jsonl"
    link = tab.page.locator("a[download]").get_attribute("href")
    query = {name: value[0] for name, value in parse_qs(urlsplit(link).query).items()}
    assert query == filters | {"format": "jsonl"}


def test_a_row_of_the_audit_log_is_shown_as_a_whole(open_tab):
    tab = open_tab()
    Gateway(tab)
    Log(tab, 1)
    operate(tab)
    search(tab)
    tab.wait_for_text("[role=status]", "1 row")
    assert cells(tab, "audit-title")[1:7] == [
        "prediction",
        "ward",
        "oral_cancer",
        "1-3fa9c2d1",
        "ok",
        "cancer",
    ]
    tab.page.click(".is-code")
    assert json.loads(tab.page.inner_text(".whole-row")) == answers.audit_row()
    assert tab.page.evaluate("() => document.activeElement.id") == "row-title"
    tab.page.click("text=Close the row")
    assert tab.page.locator(".whole-row").count() == 0


def test_the_id_of_a_prediction_finds_its_row(open_tab):
    tab = open_tab()
    Gateway(tab)
    tab.answer(f"**/api/v1/predictions/{ID}", answers.audit_row())
    operate(tab)
    tab.page.fill("#audit-id", ID)
    search(tab)
    tab.wait_for_text("[role=status]", "1 row")
    tab.answer(f"**/api/v1/predictions/{ID}", answers.problem(404, "prediction_unknown"), 404)
    search(tab)
    tab.wait_for_text("[role=status]", "0 rows")


def test_a_search_on_a_real_gateway_finds_itself(open_tab):
    tab = open_tab()
    operate(tab)
    search(tab)
    tab.wait_for_text("section:has(> #audit-title) td", "audit_read")
    tab.wait_for_text("section:has(> #live-title)", "One gateway")
    today = datetime.now(UTC)
    assert re.search(rf"{today.year}", tab.text("section:has(> #live-title)"))
    tab.page.fill("#audit-from", "2026-01-01T00:00")
    tab.page.fill("#audit-to", "2026-01-01T00:00")
    search(tab)
    tab.wait_for_text("[role=status]", "0 rows")
