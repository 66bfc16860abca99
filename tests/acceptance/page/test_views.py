"""The other views: what every role is offered, whom they find, and that anybody can use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.clients.client import BASE
from tests.support.page.browser import assert_accessible, sign_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.support.servers.rig import Rig

FILE = b"First Name,Last Name,Email,Country\nAda,Lovelace,ada@example.com,UK\na,b,wrong,UK\n"
VIEWS = (
    "import",
    "import/{job}",
    "jobs",
    "jobs?mode=delete",
    "jobs/{job}",
    "users",
    "users/{user}",
    *(
        f"operations/{tab}"
        for tab in (
            *("health", "letters", "sources", "tables", "attributes", "presets"),
            *("accounts", "tokens", "webhooks", "audit"),
        )
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def known(rig_of_module: Rig) -> dict[str, str]:
    """A job with an error and a user."""
    job = rig_of_module.run(FILE, "upsert")["id"]
    users = rig_of_module.client.http.get(f"{BASE}/audience").json()["audience"]
    return {"job": job, "user": users[0]["id"]}


def test_no_view_has_a_fault_of_accessibility_or_is_too_wide(
    chromium: Browser, rig_of_module: Rig, known: dict[str, str]
) -> None:
    """By axe, light and dark, wide and at the width of a phone."""
    for width in (1440, 390):
        context = chromium.new_context(viewport={"width": width, "height": 844})
        page = context.new_page()
        sign_in(page, rig_of_module.client.url, rig_of_module.env.password)
        for view in VIEWS:
            page.evaluate("(hash) => { location.hash = hash }", "/" + view.format(**known))
            page.locator("main .skeleton").first.wait_for(state="detached")
            page.locator("main :is(.card, .scroller, .empty, .drop)").first.wait_for()
            assert_accessible(page, view)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        context.close()


def test_a_role_is_offered_what_it_may(
    chromium: Browser, rig_of_module: Rig, known: dict[str, str]
) -> None:
    """A reader sees jobs and users, and no way to change any."""
    account = {"name": "who reads", "role": "reader", "password": "correct horse"}
    rig_of_module.client.http.post(f"{BASE}/admin/accounts", json=account)
    context = chromium.new_context()
    page = context.new_page()
    url = rig_of_module.client.url
    sign_in(page, url, "correct horse", account="who reads")
    places = page.get_by_role("navigation", name="Places").get_by_role("link")
    expect(places).to_have_text(["Jobs", "Users", "Operations"])
    page.goto(f"{url}/#/jobs/{known['job']}")
    expect(page.get_by_role("heading", name="1 line rejected")).to_be_visible()
    assert page.get_by_role("button", name="Undo").count() == 0
    page.goto(f"{url}/#/users/{known['user']}")
    expect(page.get_by_text("What made it so")).to_be_visible()
    assert page.get_by_role("button", name="Edit").count() == 0
    context.close()


def test_a_user_is_found_and_changed_with_the_keyboard_alone(
    page: Page, known: dict[str, str]
) -> None:
    """What will change is shown before it does, and the history tells it after."""
    page.get_by_role("link", name="Users", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("searchbox").focus()
    page.keyboard.type("lovel")
    page.wait_for_url("**search=lovel")  # a link to what was found, and back to it
    page.get_by_role("link", name="Ada Lovelace").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Edit").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Country").fill("Iceland")
    expect(page.get_by_role("dialog").locator(".change")).to_contain_text("Iceland")
    assert_accessible(page, "edit")
    page.keyboard.press("Enter")
    expect(page.locator(".history .change")).to_contain_text("Iceland")
    page.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Delete Ada Lovelace?")
    assert_accessible(page, "delete")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Delete")).to_be_focused()
    assert page.url.endswith(known["user"])


@pytest.mark.usefixtures("known")
def test_a_session_that_ends_asks_again_and_keeps_the_place(page: Page, rig_of_module: Rig) -> None:
    """Whoever signs in again is where he was."""
    page.get_by_role("link", name="Users", exact=True).click()
    expect(page.get_by_role("link", name="Ada Lovelace")).to_be_visible()
    page.context.clear_cookies()
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_label("Account", exact=True).fill("admin")
    page.get_by_label("Password").fill(rig_of_module.env.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
