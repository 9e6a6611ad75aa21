"""The page in a real browser: before the shared service, or with answers that a test gives it."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.chromium import PIPELINES, Tab, launched
from tests.integration.browser import answers
from tests.integration.gateway import gateway
from tests.integration.service import Service, free_ports

AXE = gzip.decompress(Path(__file__).with_name("axe.min.js.gz").read_bytes()).decode()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Not for the whole run: while it is there, its event loop is, which no other may run beside.
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def lone_gateway() -> Iterator[str]:
    """The address of a gateway without a Triton: it serves the page, and tests give the answers."""
    with gateway(free_ports(1)[0]) as client:
        yield str(client.base_url)


@pytest.fixture
def open_tab(chromium: Browser, lone_gateway: str) -> Iterator[Callable[..., Tab]]:
    """Opens the page with pipelines of a test's choice."""
    opened: list[Tab] = []

    def opener(*pipelines: Any, **options: Any) -> Tab:
        tab = Tab(chromium, lone_gateway, **options)
        opened.append(tab)
        tab.answer(PIPELINES, answers.offered(*(pipelines or (answers.described(),))))
        tab.open()
        return tab

    yield opener
    for tab in opened:
        tab.close()


@pytest.fixture
def tab(chromium: Browser, service: Service) -> Iterator[Tab]:
    """The page before the shared service."""
    service.wait_ready()
    opened = Tab(chromium, service.url)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def axe() -> Callable[[Tab], list[str]]:
    """What the accessibility checker finds, each with its element."""

    def check(tab: Tab) -> list[str]:
        # By the debugger's protocol, which the page's policy does not bind.
        if not tab.page.evaluate("() => 'axe' in window"):
            tab.page.evaluate(f"() => {{ {AXE} }}")
        found = tab.page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
        return [
            f"{violation['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    return check
