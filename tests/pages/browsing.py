"""A person at a browser: a real Chromium, without scripts of its own, that watches what the pages load."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, Response, sync_playwright

from rehearsal.toolchain import ToolchainError
from rehearsal.toolchain.browser import ensure


class Person:
    """Somebody signed in to a service.

    Args:
        page: the browser's window.
        root: the service's address.
    """

    def __init__(self, page: Page, root: str) -> None:
        self.page = page
        self.root = root

    def open(self, path: str) -> Response:
        """Opens a page of the service.

        The page before may ask again by itself at this very moment. Then Playwright says that this was interrupted, or
        doesn't know whose the answer is.
        """
        for _ in range(10):
            try:
                answer = self.page.goto(self.root + path)
            except Error as error:
                if "interrupted by another navigation" not in error.message:
                    raise
            else:
                if answer is not None:
                    return answer
            self.page.wait_for_timeout(200)  # milliseconds, in which that comes to its end
        raise AssertionError(f"{path}: interrupted each time")

    def text(self) -> str:
        """What stands on the page."""
        return self.page.inner_text("body")

    def press(self, name: str) -> None:
        """Presses a button, and waits for the page that follows."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        """Follows a link."""
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=name, exact=True).first.click()

    @property
    def width(self) -> int:
        """How wide the page is, in points; wider than the window where it has to be moved to be read."""
        session = self.page.context.new_cdp_session(self.page)
        return int(session.send("Page.getLayoutMetrics")["cssContentSize"]["width"])

    @property
    def refusal(self) -> str:
        """Why what was asked for last was refused; empty when it wasn't."""
        alerts = self.page.get_by_role("alert")
        return alerts.inner_text() if alerts.count() else ""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium. Without one the tests are left out on a developer's machine, and fail where CI is set.

    While it runs, no other test of this process can use asyncio: end it with the file of tests.
    """
    try:
        program = ensure()
    except ToolchainError as error:
        if os.environ.get("CI", "").lower() not in ("", "0", "false"):
            raise
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        # Without its sandbox it also runs as root in a container; it opens nothing but the stand-ins' pages.
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        running = playwright.chromium.launch(executable_path=program, args=options)
        yield running
        running.close()


@contextmanager
def window(browser: Browser, root: str, **options: Any) -> Iterator[Page]:
    """A new browser without cookies, in which no script runs; fails when a page loads something from elsewhere."""
    foreign: list[str] = []
    errors: list[str] = []
    context: BrowserContext = browser.new_context(java_script_enabled=False, **options)
    try:
        page = context.new_page()
        page.set_default_timeout(60_000)  # milliseconds; the machine may have other work

        def note_request(request: Request) -> None:
            if not _is_own(request.url, root):
                foreign.append(request.url)

        def note_message(message: ConsoleMessage) -> None:
            if "Content Security" in message.text:
                errors.append(message.text)

        page.on("request", note_request)
        page.on("console", note_message)
        yield page
    finally:
        context.close()
    assert not foreign, foreign
    assert not errors, errors


def _is_own(url: str, root: str) -> bool:
    return urlsplit(url).scheme == "data" or url.startswith(f"{root}/")


@contextmanager
def signed_in(browser: Browser, root: str, name: str, **options: Any) -> Iterator[Person]:
    """A person who has chosen who they are."""
    with window(browser, root, **options) as page:
        page.goto(f"{root}/_signin")
        page.get_by_role("button", name=name).first.click()
        yield Person(page, root)
