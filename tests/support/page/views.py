"""The views of the page that pictures are taken of, and how to get to each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.support.clients.client import BASE
from tests.support.page.crm_export import crm_export

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Route

    from tests.support.clients.client import Client

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
    "webhooks",
    "audit",
)
NOT_READY: Final[dict[str, Any]] = {
    "status": "not ready",
    "reasons": ["Kafka doesn't answer."],
    "components": [
        {"name": "kafka", "status": "not ready", "reasons": ["Kafka doesn't answer."]},
        {"name": "postgres", "status": "ready", "reasons": []},
    ],
}


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


def removal(page: Page) -> None:
    """What asks before everybody is replaced."""
    page.get_by_text("Replace everybody", exact=True).click()
    page.locator(".lead", has_text="removed").wait_for()
    for limit in page.get_by_text("import all the same").all():
        limit.click()
    page.locator("footer .danger").click()
    page.get_by_role("dialog").wait_for()


def sending(page: Page) -> None:
    """An upload on its way."""
    page.keyboard.press("Escape")
    page.get_by_text("Add and update").click()
    page.locator("footer .primary:enabled").wait_for()
    page.route("**/audience/import", lambda _: None)
    page.locator("footer .primary").click()
    page.locator("progress").wait_for()


def refused(page: Page) -> None:
    """A file that is none."""
    page.goto(page.url.partition("#")[0] + "#/import")
    page.reload()
    page.unroute("**/audience/import")
    page.get_by_label("Choose a file").set_input_files(
        {"name": "logo.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n" * 9}
    )
    page.locator(".notice.bad").wait_for()


def at(path: str, wait_for: str = "main .card, main table") -> Callable[[Page], None]:
    """Go to a place in the page, and wait for it."""

    def go(page: Page) -> None:
        page.goto(page.url.partition("#")[0] + f"#/{path}")
        page.locator(wait_for).first.wait_for()
        page.wait_for_timeout(400)

    return go


def opened(path: str, button: str) -> Callable[[Page], None]:
    """Go to a place, and open a dialog by its last button of this name."""

    def go(page: Page) -> None:
        at(path)(page)
        page.get_by_role("button", name=button).last.click()
        page.get_by_role("dialog").wait_for()
        page.wait_for_timeout(400)

    return go


def undo(page: Page, *, job: str) -> None:
    """What an undo would change."""
    at(f"jobs/{job}")(page)
    page.get_by_role("button", name="Undo …").click()
    page.get_by_text("Users now:").wait_for(timeout=90_000)


def as_of(page: Page, *, job: str) -> None:
    """The audience after a job."""
    at(f"jobs/{job}", ".reasons")(page)
    page.get_by_role("link", name="The audience after it").click()
    page.locator(".heading p", has_text="users").wait_for(timeout=90_000)


def changes(page: Page, *, first: str) -> None:
    """Two points, compared."""
    page.get_by_role("button", name="Back to now").click()
    at(f"changes?from={first}", "main .counts")(page)


def running(page: Page, *, job: str) -> None:
    """An import half-way."""

    def half(route: Route) -> None:
        found = route.fetch().json()
        half_way = {"inserted": 100, "rejected": 7, "rowsPerSecond": 4211.5}
        route.fulfill(json=found | half_way | {"state": "PROCESSING"})

    page.route(f"**/batchinfo/status/{job}", half)
    page.route(f"**/batchinfo/status/{job}/events", lambda route: route.abort())
    at(f"import/{job}", "progress")(page)
    page.unroute_all()


def not_ready(page: Page) -> None:
    """Something does not work."""
    page.route("**/health/ready", lambda route: route.fulfill(status=503, json=NOT_READY))
    at("operations/health", ".health.bad")(page)
    page.unroute_all()


def lost(page: Page) -> None:
    """The server can't be reached."""
    page.route("**/audience?**", lambda route: route.abort())
    at("users?country=UK", ".notice.bad")(page)
    page.unroute_all()


def proof(page: Page, *, job: str) -> None:
    """A job, proven."""
    at(f"jobs/{job}", ".reasons")(page)
    page.get_by_role("button", name="Prove it").click()
    page.locator(".notice.good").wait_for(timeout=60_000)
    page.locator("details", has_text="partition").locator("summary").click()


def once(page: Page) -> None:
    """A token, shown once."""
    opened("operations/tokens", "Add a token")(page)
    nth = page.locator("main tbody tr").count()
    page.get_by_role("dialog").get_by_label("Name").fill(f"nightly sync {nth}")
    page.get_by_role("dialog").get_by_role("button", name="Add a token").click()
    page.locator(".secret").wait_for()


def edit(page: Page, *, user: str) -> None:
    """A user, changed."""
    at(f"users/{user}", ".history")(page)
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Country").fill("Iceland")


def views(job: str, client: Client) -> dict[str, Callable[[Page], None]]:
    """Each view by name, and how to get there from the one before."""
    user = client.http.get(f"{BASE}/audience", params={"pageSize": 1}).json()["audience"][0]["id"]
    first = client.http.get(f"{BASE}/batchinfo/status").json()["statuses"][-1]["id"]
    letters = client.http.get(f"{BASE}/admin/dead-letters").json()["total"]
    return {
        "file": at("import", ".drop"),
        "columns": choose,
        "preview": preview,
        "removal": removal,
        "sending": sending,
        "refused": refused,
        "running": partial(running, job=job),
        "result": at(f"import/{job}", ".reasons"),
        "jobs": at("jobs"),
        "jobs-none": at("jobs?state=CANCELLING", ".empty"),
        "job": at(f"jobs/{job}", ".reasons"),
        "job-gone": at("jobs/1", ".empty"),
        "proof": partial(proof, job=job),
        "undo": partial(undo, job=job),
        "users": at("users"),
        "users-none": at("users?search=nobody", ".empty"),
        "users-long": at("users?search=Wolfeschlegelsteinw"),
        "lost": lost,
        "user": at(f"users/{user}", ".history"),
        "edit": partial(edit, user=user),
        "delete": opened(f"users/{user}", "Delete"),
        "add-user": opened("users", "Add a user"),
        "day": opened("users", "Earlier day …"),
        "as-of": partial(as_of, job=job),
        "changes": partial(changes, first=first),
        **{name: at(f"operations/{name}", ".card, .scroller, .empty") for name in OPERATIONS},
        "not-ready": not_ready,
        **({"letter": opened("operations/letters", "Look")} if letters else {}),
        "rebuild": opened("operations/tables", "Rebuild"),
        "account-add": opened("operations/accounts", "Add an account"),
        "account-delete": opened("operations/accounts", "Delete"),
        "once": once,
        "webhook-add": opened("operations/webhooks", "Add a webhook"),
        "webhook-change": opened("operations/webhooks", "Change"),
        "deliveries": at("operations/webhooks/1", ".scroller, .empty"),
    }
