"""The page where something is in the way: two tabs, lost connections, ended sessions, much data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.acceptance.page.test_import import choose, preview
from tests.acceptance.producers.test_outdated_letters import define, last_name, letter_of, upsert
from tests.support.clients.client import BASE
from tests.support.page.browser import assert_accessible, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page, Route

    from tests.support.servers.rig import Rig

HEADER = b"First Name,Last Name,Email,Country\n"
MANY = 100_000
LARGE = 45_000
LONG = "Wolfe" * 25
SCRIPT = "<img src=x onerror=alert(1)>"
ATTRIBUTE = "attribute" * 7


@pytest.fixture
def at(page: Page) -> Callable[[str], None]:
    """Go to a place in the page."""

    def go(path: str) -> None:
        page.goto(f"{page.url.partition('#')[0]}#/{path}")

    return go


def sign_in_again(page: Page, rig: Rig) -> None:
    """At the form that is shown where a session has ended."""
    page.get_by_role("heading", name="Sign in to Rollcall").wait_for()
    page.get_by_label("Account", exact=True).fill("admin")
    page.get_by_label("Password").fill(rig.env.password)
    page.get_by_role("button", name="Sign in").click()


def go_on(page: Page) -> None:
    """Import what is previewed."""
    page.locator("footer").get_by_role("button", name="Import").click()


def test_whoever_signs_out_in_one_tab_is_out_in_the_other(page: Page, rig_of_module: Rig) -> None:
    """It asks again, and goes on where it was."""
    other = page.context.new_page()
    other.goto(f"{page.url.partition('#')[0]}#/users")
    expect(other.get_by_role("heading", name="Users")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to Rollcall")).to_be_visible()
    other.get_by_role("link", name="Jobs", exact=True).click()
    sign_in_again(other, rig_of_module)
    expect(other.get_by_role("heading", name="Jobs")).to_be_visible()


def test_two_tabs_import_at_once(page: Page) -> None:
    """Each shows what came of its own file."""
    other = page.context.new_page()
    other.goto(page.url)
    tabs = {"left.csv": page, "right.csv": other}
    for name, tab in tabs.items():
        choose(tab, name, HEADER + f"a,b,{name}@example.com,UK\n".encode())
        preview(tab)
    for tab in tabs.values():
        go_on(tab)
    for name, tab in tabs.items():
        tab.get_by_role("link", name="Details and undo").click()
        expect(tab.get_by_role("heading", name=name)).to_be_visible()


def test_a_session_that_ends_before_the_upload_loses_nothing(
    page: Page, rig_of_module: Rig
) -> None:
    """The file, its columns and the preview are still there after signing in again."""
    choose(page, "kept.csv", HEADER + b"a,b,kept@example.com,UK\n")
    preview(page)
    page.context.clear_cookies()
    go_on(page)
    sign_in_again(page, rig_of_module)
    expect(page.locator(".lead")).to_be_visible()
    go_on(page)
    expect(page.get_by_role("heading", name="All 1 line went in")).to_be_visible()


def test_progress_goes_on_after_a_lost_connection(page: Page, rig_of_module: Rig) -> None:
    """It says so meanwhile, and catches up by itself, also where events don't come through."""
    processor = rig_of_module.processors[0]
    choose(page, "slow.csv", HEADER + b"a,b,slow@example.com,UK\n")
    preview(page)
    processor.freeze()
    try:
        page.route("**/events", lambda route: route.abort())
        go_on(page)
        expect(page.get_by_role("heading", name="Waiting for its turn")).to_be_visible()
        page.route("**/batchinfo/status/*", lambda route: route.abort())
        expect(page.get_by_text("The connection is lost.")).to_be_visible()
        page.unroute("**/batchinfo/status/*")
    finally:
        processor.thaw()
    expect(page.get_by_role("heading", name="All 1 line went in")).to_be_visible()


def test_rejected_lines_come_in_pages_however_many(
    page: Page, rig_of_module: Rig, at: Callable[[str], None]
) -> None:
    """The page holds one of them at a time."""
    lines = b"".join(b"a,b,wrong %d,UK\n" % number for number in range(MANY))
    job = rig_of_module.run(HEADER + lines + b"a,b,right@example.com,UK\n", "upsert")["id"]
    at(f"import/{job}")
    expect(page.get_by_role("heading", name="100,000 lines rejected")).to_be_visible()
    expect(page.get_by_text("1 to 20 of 100,000")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("row").filter(has_text="wrong 20")).to_be_visible()
    assert page.locator("main tbody tr").count() == 20
    assert page.evaluate("document.querySelectorAll('*').length") < 1000


def test_a_large_upload_goes_on_where_it_broke_and_is_sent_once(page: Page) -> None:
    """Of two parts the second breaks; preview and import name them, and all users are found."""
    asked: list[str] = []

    def break_second(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 2:
            route.abort()
        else:
            route.fallback()

    page.route("**/audience/parts", break_second)
    lines = (f"Large,{'x' * 70} {number},l{number}@example.com,UK\n" for number in range(LARGE))
    choose(page, "large.csv", HEADER + "".join(lines).encode())
    preview(page)
    go_on(page)
    expect(page.get_by_role("heading", name="All 45,000 lines went in")).to_be_visible(
        timeout=120_000
    )
    assert len(asked) == 3
    page.get_by_role("link", name="See these users").click()
    expect(page.get_by_text("45,000 users", exact=True)).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("26 to 50 of 45,000")).to_be_visible()
    page.get_by_role("searchbox").fill("l44999@")
    expect(page.get_by_text("1 user", exact=True)).to_be_visible()
    assert page.locator("main tbody tr").count() == 1


SEND = """async (size) => {
    const { upload } = await import(new URL("page/api.js", document.baseURI));
    const [wait, waits] = [window.setTimeout, []];
    window.setTimeout = (work, ms) => { if (ms >= 1000) waits.push(ms); return wait(work, 0); };
    const slice = (from, to) => new Blob([`${from} to ${Math.min(to, size)}`]);
    const told = await upload("audience/inspect", { size, slice }, "large.csv", {}).then(
        () => "taken", (error) => error.message);
    return [told, waits];
}"""
"""Uploads a file of this size, whose parts hold only where they lie; nothing is waited for."""


def test_a_part_is_sent_again_where_the_server_is_busy_or_the_connection_broke(page: Page) -> None:
    """From that part on, as late as the server says; all are sent anew where it lost one."""
    last = 9 << 20
    first, second, third = f"0 to {4 << 20}", f"{4 << 20} to {8 << 20}", f"{8 << 20} to {last}"
    refusals = {0: 429, 1: 408, 3: None, 5: 503}
    sent: list[str | None] = []
    named: list[str | None] = []

    def take(route: Route) -> None:
        status = refusals.get(len(sent), 200)
        sent.append(route.request.post_data)
        if status:
            answer = {"part": f"part {len(sent)}"}
            route.fulfill(status=status, json=answer, headers={"Retry-After": str(status % 7)})
        else:
            route.abort()

    def name(route: Route) -> None:
        named.append(route.request.post_data)
        lost = {"message": "It is gone", "details": [{"code": "PART_LOST"}]}
        route.fulfill(status=400 if len(named) == 1 else 200, json=lost)

    page.route("**/audience/parts", take)
    page.route("**/audience/inspect*", name)
    told, waits = page.evaluate(SEND, last)

    assert told == "taken"
    assert sent == [first] * 3 + [second] * 2 + [third] * 2 + [first, second, third]
    assert [json.loads(each or "")["parts"] for each in named] == [
        ["part 3", "part 5", "part 7"],
        ["part 8", "part 9", "part 10"],
    ]
    assert waits == [429 % 7 * 1000, 2000, 1000, 503 % 7 * 1000]


def test_a_file_of_gigabytes_has_larger_parts_and_a_refused_one_is_sent_once(page: Page) -> None:
    """At most 600 parts may be named; what is refused would be refused again."""
    sent: list[str | None] = []

    def refuse(route: Route) -> None:
        sent.append(route.request.post_data)
        route.fulfill(status=413, json={"message": "Too large"})

    page.route("**/audience/parts", refuse)
    assert page.evaluate(SEND, 3_000_000_000) == ["Too large", []]
    assert sent == ["0 to 5000000"]


def test_what_strangers_wrote_fits_and_stays_text_in_every_view(
    chromium: Browser, rig_of_module: Rig
) -> None:
    """Long words, right-to-left and script; at the width of a phone, and zoomed to 200 %."""
    mail = f"{'x' * 60}@{'long.' * 20}example.com"
    define(rig_of_module, ATTRIBUTE)
    content = (
        f"First Name,Last Name,Email,Country,{ATTRIBUTE}\n"
        f"{LONG},{LONG},{mail},UK,{LONG}\n{SCRIPT},دينا العربي,script@example.com,UK,\n"
        f"{SCRIPT},{LONG},{'no mail ' * 200},UK,{LONG}\n"
    )
    job = rig_of_module.run(content.encode(), "upsert")["id"]
    listed = rig_of_module.client.http.get(f"{BASE}/audience", params={"job": job}).json()
    users = [f"users/{each['id']}" for each in listed["audience"]]
    places = ("users", *users, "jobs", f"jobs/{job}", f"import/{job}", "operations/attributes")
    for width in (390, 720):
        context = chromium.new_context(viewport={"width": width, "height": 450})
        opened = context.new_page()
        opened.on("dialog", lambda _: (_ for _ in ()).throw(AssertionError("a script ran")))
        sign_in(opened, rig_of_module.client.url, rig_of_module.env.password)
        for place in places:
            opened.evaluate("(hash) => { location.hash = hash }", f"/{place}")
            opened.locator("main :is(.card, .scroller)").first.wait_for()
            opened.locator("main .skeleton").first.wait_for(state="detached")
            assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
            assert opened.locator("main img").count() == 0, place
            assert_accessible(opened, place)
        context.close()


def test_a_retry_shows_what_it_would_set_back(
    page: Page, rig_of_module: Rig, at: Callable[[str], None]
) -> None:
    """And does it only where it is told to all the same."""
    rig, key = rig_of_module, "outdated@example.com"
    rig.run(HEADER + f"Kim,First,{key},Japan\n".encode(), "upsert")
    letter_of(rig, upsert(key, "old", last_name="Old", attributes={"later": "x"}))
    rig.run(HEADER + f"Kim,Newer,{key},Japan\n".encode(), "upsert")
    define(rig, "later")
    at("operations/letters")
    page.get_by_role("row").filter(has_text=key).get_by_role("button", name="Look").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send it again").click()
    expect(dialog.locator(".change").filter(has_text="Newer")).to_contain_text("Old")
    assert_accessible(page, "a retry")
    assert last_name(rig, key) == "Newer"
    dialog.get_by_role("button", name="Send it all the same").click()
    expect(page.get_by_text("sent again by")).to_be_visible()
    expect(dialog).to_have_count(0)


def test_accounts_and_tokens_are_made_shown_once_and_deleted(
    page: Page, at: Callable[[str], None]
) -> None:
    """What is shown once is gone with its dialog; all of it stands in the audit log."""
    for tab, name, add in (("accounts", "maria", "account"), ("tokens", "crm sync", "token")):
        at(f"operations/{tab}")
        page.get_by_role("button", name=f"Add a{'n' * (add == 'account')} {add}").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill(name)
        assert_accessible(page, add)
        dialog.get_by_role("button", name="Add a").click()
        secret = dialog.locator(".secret").text_content()
        assert secret
        assert_accessible(page, f"{add} shown once")
        dialog.get_by_role("button", name="Close").last.click()
        row = page.get_by_role("row").filter(has_text=name)
        expect(row).to_be_visible()
        assert secret not in page.content()
        row.get_by_role("button", name="Delete").click()
        assert_accessible(page, f"{add} deleted")
        dialog.get_by_role("button", name="Delete").click()
        expect(row).to_have_count(0)
    at("operations/audit")
    find_acts(page)


def find_acts(page: Page) -> None:
    """In the audit log, by what and who; then have it checked."""
    acts = page.locator("tbody tr")
    expect(acts.first).to_contain_text("Token deleted")
    page.get_by_label("What").select_option("Account added")
    expect(acts.first).to_contain_text("maria")
    page.get_by_role("button", name="admin").first.click()
    expect(page.locator(".chip", has_text="admin")).to_be_visible()
    page.get_by_label("What").select_option("Log moved")
    expect(page.get_by_text("Nothing like that has been changed")).to_be_visible()
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_text("rows are as they were written")).to_be_visible()
    assert_accessible(page, "audit")


def test_a_preset_reads_the_next_file_the_same_way(page: Page) -> None:
    """What columns mean is said once."""
    choose(page, "first.csv", b"Given,Family,Email,Land\na,b,preset@example.com,UK\n")
    for header, field in {"Given": "First Name", "Family": "Last Name", "Land": "Country"}.items():
        page.get_by_label(f"What the column {header} becomes").select_option(field)
    page.get_by_role("button", name="Keep as a preset").click()
    page.get_by_label("Name of the preset").fill("CRM")
    assert_accessible(page, "preset")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.reload()
    page.get_by_label("Preset", exact=True).select_option("CRM")
    choose(page, "second.csv", b"Given,Family,Email,Land\nc,d,preset2@example.com,UK\n")
    expect(page.get_by_label("What the column Land becomes")).to_have_value("Country")
    preview(page)
    expect(page.locator(".lead")).to_contain_text("1 person would be added")
