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

from confluent_kafka import Producer

from schemas.codec import codec
from schemas.log.topics import partition_of
from tests.support.checkout import CHECKOUT
from tests.support.clients.client import BASE, Client
from tests.support.clients.other_producers import row_of
from tests.support.page.browser import browser, sign_in
from tests.support.page.crm_export import crm_export
from tests.support.page.views import MAPPED, views
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser

    from tests.support.servers.rig import Rig

PICTURES: Final = CHECKOUT / "docs" / "pictures"
SIZES: Final = {"wide": (1440, 900), "narrow": (390, 844)}
SCHEMES: Final = ("light", "dark")
README: Final = ("preview-wide-light.png",)
LONG: Final = (
    "First Name,Last Name,Email,Country\n"
    f"{'Wolfeschlegelstein' * 6},{'hausenbergerdorff' * 6},mail@{'long.' * 30}example.com,UK\n"
).encode()


def seed(client: Client) -> str:
    """An audience with some history; the id of a job with errors."""
    options = {"columns": json.dumps(MAPPED), "unknownColumns": "ignore"}
    everybody = crm_export(1200, mistakes=False)
    for attribute in ("plan", "favourite colour"):
        client.http.post(f"{BASE}/admin/attributes", json={"name": attribute, "type": "string"})
    for name, role in (("maria", "importer"), ("night shift", "manager")):
        client.http.post(f"{BASE}/admin/accounts", json={"name": name, "role": role})
    client.http.post(f"{BASE}/admin/tokens", json={"name": "crm sync", "role": "importer"})
    for url in ("https://crm.invalid/rollcall/told/of/every/import", f"{client.url}/no/hook"):
        made = client.http.post(f"{BASE}/webhooks", json={"url": url})
        client.http.post(f"{BASE}/webhooks/{made.json().get('id')}/test")
    client.http.put(f"{BASE}/audience/presets/CRM", json={"options": options})
    jobs: list[int] = []
    moved = everybody.replace(b"France", b"Belgium")
    for content in (everybody, crm_export(300, seed=3), moved, LONG):
        fields = {} if content == LONG else options
        jobs.append(int(client.upload(content, "upsert", fields=fields).json()["id"]))
        wait_until(partial(client.is_ended, jobs[-1]), 120)
    return str(jobs[1])


def seed_log(rig: Rig) -> None:
    """What another producer sent, and what of it could not be applied."""
    good = row_of("kim@example.com")
    records = [(good.key, codec.encode(good)), ("", b"no event"), ("x", codec.encode(good))]
    topic = rig.env.settings.topics.user_events
    producer = Producer(dict(rig.env.settings.kafka))
    for key, value in records:
        home = partition_of(good.key.encode(), topic.partitions)
        producer.produce(topic.name, value, key, home)
    producer.flush(60)


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
            page.get_by_label("Account").fill("admin")
            page.get_by_label("Password").fill("a wrong one")
            page.get_by_role("button", name="Sign in").click()
            page.locator(".notice.bad").wait_for()
            page.screenshot(path=folder / f"sign-in-wrong-{size}-{scheme}.png")
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
        started(of, Path(logs), admin_password=password, webhooks_allow_private="yes") as rig,
    ):
        rig.services.builder()  # for what an undo would change, and for audiences as they were
        seed_log(rig)
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
