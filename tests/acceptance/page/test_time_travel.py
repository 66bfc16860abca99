"""An earlier day, and what has changed between two points, at the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.page.browser import assert_accessible

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.support.servers.rig import Rig

HEADER = b"First Name,Last Name,Email,Country\n"


@pytest.fixture(scope="module")
def jobs(rig_of_module: Rig) -> list[str]:
    """Three jobs: each adds a user, and the second changes the first's."""
    rig_of_module.services.builder()
    files = (
        b"a,b,first@example.com,UK\n",
        b"a,c,first@example.com,UK\na,b,second@example.com,UK\n",
    )
    return [
        str(rig_of_module.run(HEADER + lines, "upsert")["id"])
        for lines in (*files, b"a,b,third@example.com,UK\n")
    ]


@pytest.mark.usefixtures("jobs")
def test_the_whole_page_looks_at_an_earlier_day(page: Page) -> None:
    """Yesterday nobody was there, which is said instead of what is now."""
    page.get_by_role("link", name="Users", exact=True).click()
    expect(page.get_by_text("3 users", exact=True)).to_be_visible()
    page.get_by_role("button", name="Earlier day").click()
    assert_accessible(page, "as of")
    day = (datetime.now(UTC) - timedelta(days=2)).date()
    page.get_by_role("textbox", name="Day").fill(str(day))
    page.get_by_role("button", name="Look", exact=True).click()
    banner = page.get_by_role("status").filter(has_text="You are looking at")
    expect(banner).to_contain_text(str(day.year))
    expect(page.get_by_text("0 users", exact=True)).to_be_visible(timeout=90_000)
    expect(page.get_by_role("link", name="a c")).to_have_count(0)
    page.get_by_role("button", name="Back to now").click()
    expect(page.get_by_text("3 users", exact=True)).to_be_visible()


def test_a_user_is_shown_as_it_was_after_a_job(page: Page, jobs: list[str]) -> None:
    """Who was not there yet is said not to have been."""
    page.goto(f"{page.url.partition('#')[0]}#/jobs/{jobs[0]}")
    page.get_by_role("link", name="The audience after it").click()
    expect(page.get_by_text("1 user", exact=True)).to_be_visible(timeout=90_000)
    page.get_by_role("link", name="a b").click()
    known = page.locator(".card", has_text="What is known")
    expect(known.get_by_text("b", exact=True)).to_be_visible()
    page.get_by_role("button", name="Back to now").click()
    expect(known.get_by_text("c", exact=True)).to_be_visible()
    page.go_back()
    page.get_by_role("searchbox").fill("second@")
    expect(page.get_by_text("1 user", exact=True)).to_be_visible()
    page.get_by_role("link", name="a b").click()
    page.get_by_role("button", name="Earlier day").click()
    page.get_by_role("textbox", name="Day").fill("2020-02-02")
    page.get_by_role("button", name="Look", exact=True).click()
    expect(page.get_by_text("Not there then")).to_be_visible(timeout=90_000)


def test_two_points_are_compared_and_exported(page: Page, jobs: list[str], tmp_path: Path) -> None:
    """What came after the later point is no difference."""
    page.goto(f"{page.url.partition('#')[0]}#/changes?from={jobs[0]}&to={jobs[1]}")
    added = page.get_by_role("row").filter(has_text="second@example.com")
    expect(added).to_be_visible(timeout=90_000)
    expect(page.get_by_role("row").filter(has_text="first@example.com")).to_contain_text("Changed")
    expect(page.locator(".chip", has_text="after users.csv")).to_have_count(2)
    expect(page.get_by_text("third@example.com")).to_have_count(0)
    page.get_by_role("button", name="Changed").click()
    expect(added).to_have_count(0)
    with page.expect_download() as saving:
        page.get_by_role("button", name="Export the changes").click()
    saving.value.save_as(tmp_path / "changes.csv")
    assert "first@example.com" in (tmp_path / "changes.csv").read_text()
