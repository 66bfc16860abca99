"""One browser a module, at the page of an installation that its tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.page.browser import browser, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.support.servers.rig import Rig

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    with browser() as launched:
        yield launched


@pytest.fixture
def page(chromium: Browser, rig_of_module: Rig) -> Iterator[Page]:
    """The page, signed in as ``admin``; it has logged no fault of its own at the end."""
    context = chromium.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on(
        "console",
        lambda message: (
            faults.append(message.text)
            # What the API refuses is no fault of the page.
            if message.type == "error" and "Failed to load resource" not in message.text
            else None
        ),
    )
    sign_in(opened, rig_of_module.client.url, rig_of_module.env.password)
    yield opened
    context.close()
    assert faults == []
