"""A real browser at the page: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser, Page

HOW = "apt-get install --no-install-recommends chromium fonts-dejavu-core"
_PATHS = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-gpu",
)


@contextlib.contextmanager
def browser() -> Generator[Browser]:
    """Chromium; a test without it is skipped, and says how to get it, but fails where CI is set."""
    path = next(filter(None, map(shutil.which, _PATHS)), None)
    if path is None:
        assert "CI" not in os.environ, f"there is no Chromium: {HOW}"
        pytest.skip(f"there is no Chromium: {HOW}")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=path, chromium_sandbox=False, args=_ARGUMENTS
        )
        yield launched
        launched.close()


_AXE = CHECKOUT / "tests" / "vendored" / "axe.min.js"
_SETTLED = """!document.querySelector('[aria-busy="true"]:not(.button)')
    && document.getAnimations().every((each) => each.constructor !== CSSTransition)"""
_VIOLATIONS = """axe.run(document).then((found) => found.violations.map(
    (each) => [each.id, each.nodes.length, each.nodes[0].html]))"""


def assert_accessible(page: Page, where: str = "") -> None:
    """Fail where axe finds a fault in what is shown, once nothing is dimmed for a new answer."""
    page.wait_for_function(_SETTLED)
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(_AXE.read_text("utf-8"))  # no script tag: the page's policy forbids those
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(_VIOLATIONS) == [], (where, scheme)
    page.emulate_media(color_scheme="no-preference")


def sign_in(page: Page, url: str, password: str, *, account: str = "admin") -> None:
    """Open the page and sign in; returns once the first view is there."""
    page.goto(url)
    page.get_by_label("Account").fill(account)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation", name="Places").wait_for()
