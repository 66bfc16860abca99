"""Take a picture of every view of the page, wide and narrow, light and dark.

``python -m tests.support.page.screenshots FOLDER`` starts an installation of its own; with a URL
and the password of ``admin`` behind it, one that runs is used.
What README shows is copied to ``docs/pictures`` with ``--readme``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.checkout import CHECKOUT
from tests.support.clients.client import BASE, Client
from tests.support.page.browser import browser, sign_in
from tests.support.page.crm_export import crm_export
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from playwright.sync_api import Browser, Page

PICTURES: Final = CHECKOUT / "docs" / "pictures"
SIZES: Final = {"wide": (1440, 900), "narrow": (390, 844)}
SCHEMES: Final = ("light", "dark")
FILE: Final = crm_export(400, seed=7)
MAPPED: Final = {
    "Surname": "Last Name",
    "E-mail Address": "Email",
    "Cell": "Mobile Number",
    "Province": "State",
    "Opted in": "Email Subscription",
}
OPERATIONS: Final = (
    "health",
    "letters",
    "sources",
    "tables",
    "attributes",
    "presets",
    "accounts",
    "tokens",
    "audit",
)
README: Final = ("preview-wide-light.png",)


def seed(client: Client) -> str:
    """An audience with some history; the id of a job with errors."""
    options = {"columns": json.dumps(MAPPED), "unknownColumns": "ignore"}
    everybody = crm_export(1200, mistakes=False)
    for attribute in ("plan", "favourite colour"):
        client.http.post(f"{BASE}/admin/attributes", json={"name": attribute, "type": "string"})
    for name, role in (("maria", "importer"), ("night shift", "manager")):
        client.http.post(f"{BASE}/admin/accounts", json={"name": name, "role": role})
    client.http.post(f"{BASE}/admin/tokens", json={"name": "crm sync", "role": "importer"})
    job = 0
    for content in (everybody, crm_export(300, seed=3)):
        job = int(client.upload(content, "upsert", fields=options).json()["id"])
        wait_until(partial(client.is_ended, job), 120)
    return str(job)


def choose(page: Page) -> None:
    """The second step of an import."""
    page.goto(page.url.partition("#")[0] + "#/import")
    page.get_by_label("Choose a file").set_input_files(
        {"name": "crm export.csv", "mimeType": "text/csv", "buffer": FILE}
    )
    page.locator(".columns .header").first.wait_for()


def preview(page: Page) -> None:
    """The third step."""
    for header, field in MAPPED.items():
        page.get_by_label(f"What the column {header} becomes").select_option(field)
    page.wait_for_timeout(600)
    page.locator("footer .primary:enabled").click()
    page.locator(".lead").wait_for()


def views(job: str, client: Client) -> dict[str, Callable[[Page], None]]:
    """Each view by name, and how to get there from the one before."""
    user = client.http.get(f"{BASE}/audience", params={"pageSize": 1}).json()["audience"][0]["id"]

    def at(path: str, wait_for: str = "main .card, main table") -> Callable[[Page], None]:
        def go(page: Page) -> None:
            page.goto(page.url.partition("#")[0] + f"#/{path}")
            page.locator(wait_for).first.wait_for()
            page.wait_for_timeout(400)

        return go

    def undo(page: Page) -> None:
        at(f"jobs/{job}")(page)
        page.get_by_role("button", name="Undo …").click()
        page.get_by_text("Users now:").wait_for(timeout=90_000)

    def as_of(page: Page) -> None:
        at(f"jobs/{job}", ".reasons")(page)
        page.get_by_role("link", name="The audience after it").click()
        page.locator("main table").wait_for(timeout=90_000)

    def changes(page: Page) -> None:
        page.get_by_role("button", name="Back to now").click()
        jobs = client.http.get(f"{BASE}/batchinfo/status").json()["statuses"]
        at(f"changes?from={jobs[-1]['id']}", "main .counts")(page)

    def edit(page: Page) -> None:
        at(f"users/{user}", ".history")(page)
        page.get_by_role("button", name="Edit").click()
        page.get_by_label("Country").fill("Iceland")

    return {
        "file": at("import", ".drop"),
        "columns": choose,
        "preview": preview,
        "result": at(f"import/{job}", ".reasons"),
        "jobs": at("jobs"),
        "jobs-none": at("jobs?state=CANCELLING", ".empty"),
        "job": at(f"jobs/{job}", ".reasons"),
        "undo": undo,
        "users": at("users"),
        "user": at(f"users/{user}", ".history"),
        "edit": edit,
        "as-of": as_of,
        "changes": changes,
        **{name: at(f"operations/{name}", ".card, .scroller, .empty") for name in OPERATIONS},
    }


def take(chromium: Browser, client: Client, password: str, folder: Path) -> None:
    """Write all pictures to the folder."""
    job = seed(client)
    for scheme in SCHEMES:
        for size, (width, height) in SIZES.items():
            context = chromium.new_context(
                locale="en-GB",
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                reduced_motion="reduce",
            )
            page = context.new_page()
            page.goto(client.url)
            page.get_by_label("Account").wait_for()
            page.screenshot(path=folder / f"sign-in-{size}-{scheme}.png")
            sign_in(page, client.url, password)
            for name, go in views(job, client).items():
                go(page)
                is_whole = page.get_by_role("dialog").count() == 0
                picture = folder / f"{name}-{size}-{scheme}.png"
                page.screenshot(path=picture, full_page=is_whole)
                page.keyboard.press("Escape")
            context.close()


@contextlib.contextmanager
def installation(url: str | None, password: str) -> Generator[Client]:
    """A client of the installation that is pictured."""
    if url is not None:
        with Client(url, password) as client:
            yield client
        return
    from tests.support.servers.rig import installation as started  # noqa: PLC0415 - starts servers
    from tests.support.servers.surroundings import surroundings  # noqa: PLC0415

    with (
        surroundings() as of,
        tempfile.TemporaryDirectory() as logs,
        started(of, Path(logs), admin_password=password) as rig,
    ):
        rig.services.builder()  # for what an undo would change, and for audiences as they were
        yield rig.client


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("url", nargs="?")
    parser.add_argument("password", nargs="?", default="correct horse battery")
    parser.add_argument("--readme", action="store_true")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with browser() as chromium, installation(asked.url, asked.password) as client:
        take(chromium, client, asked.password, asked.folder)
    if asked.readme:
        PICTURES.mkdir(exist_ok=True)
        for name in README:
            shutil.copy(asked.folder / name, PICTURES)


if __name__ == "__main__":
    main()
