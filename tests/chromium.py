"""Debian's Chromium for tests of the page, and one tab of it that notes what must not happen."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Route, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VIOLATIONS = """
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  console.error(`policy: ${violatedDirective} ${blockedURI}`);
});
"""
PREDICT = "**/predict/advanced*"
PIPELINES = "**/api/v1/pipelines"
SESSION = "**/api/v1/session"


def executable() -> str:
    """The browser's path. Without one tests are skipped, but never where CI runs them."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    missing = "THE PAGE IS NOT TESTED: no browser found; as root: apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def launched() -> Iterator[Browser]:
    path = executable()
    # Chromium's own sandbox refuses to run as root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """The page in a browser, with the answers that a test gives it in place of the service's."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        # Colours that are still changing are no colours to be checked.
        usual = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
        self.context = browser.new_context(**usual | options)
        self.context.add_init_script(VIOLATIONS)
        self.page: Page = self.context.new_page()
        self.hosts = {urlsplit(url).netloc, ""}
        """All that may be asked."""
        self.requests: list[Request] = []
        self.errors: list[str] = []
        self.context.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108
        self.context.on("weberror", lambda error: self.errors.append(str(error.error)))
        self.context.on("console", self._console)
        self.context.on("dialog", self._dialog)

    def _dialog(self, dialog: Any) -> None:
        self.errors.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: Any) -> None:
        # A refusal of the service is an error to the console, not to the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def answer(self, path: str, document: Any, status: int = 200, **headers: str) -> None:
        """Answers requests to a path from now on; headers have `_` for `-`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps(document)
        media_type = "application/json" if status < 400 else "application/problem+json"

        def fulfil(route: Route) -> None:
            route.fulfill(status=status, body=body, headers=sent, content_type=media_type)

        self.route(path, fulfil)

    def route(self, path: str, handler: Callable[[Route], Any]) -> None:
        self.page.unroute(path)
        self.page.route(path, handler)

    def open(self) -> None:
        self.page.goto(self.url)
        self.page.wait_for_selector("main > *")

    def choose(self, *files: Any) -> None:
        self.page.set_input_files("[data-input=files]", list(files))

    def texts(self, selector: str) -> list[str]:
        return [" ".join(text.split()) for text in self.page.locator(selector).all_inner_texts()]

    def text(self, selector: str) -> str:
        self.page.wait_for_selector(selector)
        return " ".join(self.page.inner_text(selector).split())

    def wait_for_text(self, selector: str, words: str) -> None:
        self.page.locator(selector, has_text=words).first.wait_for()

    def asked(self) -> list[Request]:
        """The photos that were sent."""
        return [request for request in self.requests if request.method == "POST"]

    def close(self) -> None:
        """Fails where a script failed, a policy was broken or another host was asked."""
        self.context.close()
        assert not self.errors
        hosts = {urlsplit(request.url).netloc for request in self.requests}
        assert hosts <= self.hosts, hosts


def photo(data: bytes, name: str = "photo.jpg", media_type: str = "image/jpeg") -> Any:
    """A file as the file input takes it."""
    return {"name": name, "mimeType": media_type, "buffer": data}
