"""An import at the page, from a CRM's export with mistakes to the corrected file and the undo."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.support.clients.client import BASE
from tests.support.page.browser import assert_accessible
from tests.support.page.crm_export import crm_export

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, Route

    from tests.support.servers.rig import Rig

PEOPLE = 200
STATUSES = f"{BASE}/batchinfo/status"


def choose(page: Page, name: str, content: bytes) -> None:
    """Choose a file at the first step; returns once its columns are shown."""
    page.get_by_role("link", name="Import", exact=True).click()
    page.get_by_label("Choose a file").set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": content}
    )
    page.locator("footer").get_by_role("button", name="Preview", exact=True).wait_for()


def preview(page: Page) -> None:
    """Go on from the columns; returns once it is shown what would happen."""
    page.locator("footer").get_by_role("button", name="Preview", exact=True).click()
    expect(page.locator(".lead")).to_be_visible()


def import_it(page: Page) -> str:
    """Go on from the columns to the end; the job's id."""
    preview(page)
    assert_accessible(page, "preview")
    page.locator("footer").get_by_role("button", name="Import").click()
    page.wait_for_url("**/#/import/*")
    page.get_by_role("link", name="Details and undo").wait_for()
    return page.url.rpartition("/")[2]


def test_a_dirty_export_is_imported_corrected_and_undone(
    page: Page, rig_of_module: Rig, tmp_path: Path
) -> None:
    """Everything is shown before it happens, and nothing needs another tool than a spreadsheet."""
    choose(page, "crm export.csv", crm_export(PEOPLE))
    become(page, {"Province": "State", "Opted in": "Email Subscription"})
    page.locator(".columns .fault").first.wait_for()  # the reason, at the column
    assert_accessible(page, "columns")
    job = import_it(page)
    status = rig_of_module.client.status(int(job))
    assert status["inserted"] + status["rejected"] == PEOPLE
    assert status["rejected"] > 0
    page.reload()  # the address alone shows it again
    expect(page.get_by_text(f"of {PEOPLE} lines went in")).to_be_visible()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Download to correct").click()
    saving.value.save_as(tmp_path / "errors.csv")
    page.get_by_role("button", name="Upload the corrected file").click()
    corrected = corrected_file((tmp_path / "errors.csv").read_text("utf-8-sig"))
    choose(page, "corrected.csv", corrected)
    become(page, {"Province": "State", "Opted in": "Email Subscription"})
    second = import_it(page)
    assert rig_of_module.client.status(int(second))["rejected"] == 0
    rig_of_module.services.builder()
    undo(page)
    assert rig_of_module.client.status(int(second))["state"] == "REVERTED"


def become(page: Page, fields: dict[str, str]) -> None:
    """Say what columns are, where their names alone did not."""
    for header, field in fields.items():
        page.get_by_label(f"What the column {header} becomes").select_option(field)


def undo(page: Page) -> None:
    """Undo the import that is shown, after a look at what that does."""
    page.get_by_role("link", name="Details and undo").click()
    page.get_by_role("button", name="Undo …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Users now:")).to_be_visible(timeout=60_000)
    assert_accessible(page, "undo")
    dialog.get_by_role("button", name="Undo it").click()
    expect(page.get_by_role("heading", name="Undone", exact=True)).to_be_visible(timeout=60_000)


def corrected_file(text: str) -> bytes:
    """The file of errors with every mistake mended, as a person would in a spreadsheet."""
    rows = list(csv.DictReader(io.StringIO(text)))
    for number, row in enumerate(rows):
        row |= {
            "E-mail Address": f"corrected.{number}@example.com",
            "Surname": row["Surname"] or "Unknown",
            "Country": row["Country"] or "UK",
            "Cell": "",
            "Opted in": "yes",
        }
    made = io.StringIO()
    writer = csv.DictWriter(made, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return made.getvalue().encode()


def test_a_delsert_asks_for_the_number_of_users_that_go(page: Page, rig_of_module: Rig) -> None:
    """A limit is lifted by hand, and the number typed."""
    header = b"First Name,Last Name,Email,Country\n"
    rows = b"".join(b"a,b,goes%d@example.com,UK\n" % number for number in range(3))
    rig_of_module.run(header + rows, "upsert")
    going = rig_of_module.client.http.get(f"{BASE}/audience").json()["total"] - 1
    choose(page, "all.csv", header + b"a,b,goes1@example.com,UK\n")
    preview(page)
    page.get_by_text("Replace everybody").click()
    expect(page.locator(".lead", has_text=f"{going} removed")).to_be_visible()
    for limit in page.get_by_text("import all the same").all():
        limit.click()
    page.locator("footer").get_by_role("button", name="Import").click()
    remove = page.get_by_role("dialog").get_by_role("button", name="Remove")
    expect(remove).to_be_disabled()
    assert_accessible(page, "delsert")
    page.get_by_label("Type").fill(str(going))
    remove.click()
    page.get_by_role("link", name="Details and undo").wait_for()
    page.get_by_role("link", name="Users", exact=True).click()
    expect(page.get_by_text("1 user", exact=True)).to_be_visible()


def test_the_corrected_file_of_a_delsert_replaces_nobody(page: Page, rig_of_module: Rig) -> None:
    """It is offered at the job, too, and adds and updates: its lines are not all users."""
    file = b"First Name,Last Name,Email,Country\na,b,stays@example.com,UK\na,b,,UK\n"
    job_id = rig_of_module.submit(file, "delsert")
    rig_of_module.wait_ended(job_id)
    page.goto(f"{page.url.partition('#')[0]}#/jobs/{job_id}")
    page.get_by_role("button", name="Upload the corrected file").click()
    expect(page.get_by_text("The corrected file", exact=True)).to_be_visible()
    choose(page, "corrected.csv", file.replace(b"a,b,,UK", b"a,b,comes@example.com,UK"))
    preview(page)
    expect(page.locator("input[name=mode]:checked")).to_have_value("upsert")


def test_an_upload_over_a_broken_connection_is_one_job(page: Page, rig_of_module: Rig) -> None:
    """It is sent again by itself, with the same key."""
    keys: list[str] = []

    def break_once(route: Route) -> None:
        key = route.request.header_value("Idempotency-Key")
        keys.extend([key] if key else [])  # a dry run has none
        if key and len(keys) == 1:
            route.abort()
        else:
            route.fallback()

    page.route("**/audience/import", break_once)
    before = rig_of_module.client.http.get(STATUSES).json()["total"]
    choose(page, "once.csv", b"First Name,Last Name,Email,Country\na,b,once@example.com,UK\n")
    import_it(page)
    assert keys[0] == keys[1]
    assert rig_of_module.client.http.get(STATUSES).json()["total"] == before + 1


def test_what_is_sent_again_by_hand_is_one_job(page: Page, rig_of_module: Rig) -> None:
    """After a failure, and over a connection that was gone for a while, with the same key."""
    keys: list[str] = []

    def fail_once(route: Route) -> None:
        key = route.request.header_value("Idempotency-Key")
        keys.extend([key] if key else [])
        if key and len(keys) == 1:
            route.fulfill(status=500, json={"message": "Something went wrong"})
        else:
            route.fallback()

    choose(page, "again.csv", b"First Name,Last Name,Email,Country\na,b,again@example.com,UK\n")
    preview(page)
    page.route("**/audience/import", fail_once)
    send = page.locator("footer").get_by_role("button", name="Import")
    send.click()
    expect(page.get_by_text("Something went wrong")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    before = rig_of_module.client.http.get(STATUSES).json()["total"]
    expect(page.locator(".lead")).to_be_visible()
    page.context.set_offline(True)
    send.click()
    expect(page.get_by_text("The connection broke.")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("link", name="Details and undo").wait_for()
    assert len(set(keys)) == 1
    assert rig_of_module.client.http.get(STATUSES).json()["total"] == before + 1


def test_script_and_right_to_left_in_cells_are_only_text(page: Page) -> None:
    """Whatever strangers wrote is shown as they wrote it, in its own direction."""
    script = '"<img src=x onerror=alert(1)><script>alert(1)</script>"'
    content = f"First Name,Last Name,Email,Country\n{script},دينا,x@example.com,UK\n".encode()
    page.on("dialog", lambda _: (_ for _ in ()).throw(AssertionError("a script ran")))
    choose(page, "<b>name</b>.csv", content)
    expect(page.get_by_text("<script>alert(1)").first).to_be_visible()
    preview(page)
    assert page.locator("main img, main script").count() == 0
