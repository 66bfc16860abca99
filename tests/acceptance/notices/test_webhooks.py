"""Webhooks and mail of a running installation, at a real receiver and a real mail server."""

from __future__ import annotations

import json
import threading
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest
from aiosmtpd.controller import Controller
from playwright.sync_api import expect
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.clients.client import BASE
from tests.support.clients.shell import Shell
from tests.support.data.files import tidy_csv
from tests.support.page.browser import assert_accessible, browser, sign_in
from tests.support.servers.rig import Rig
from tests.support.servers.scripted_server import Answer, scripted_server
from tests.support.servers.services import Services, free_port
from tests.support.servers.surroundings import ground
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiosmtpd.smtp import SMTP, Envelope, Session
    from playwright.sync_api import Locator, Page

    from tests.support.clients.client import Client
    from tests.support.servers.scripted_server import Asked, ScriptedServer
    from tests.support.servers.surroundings import Surroundings

HOOKS: Final = f"{BASE}/webhooks"
PUBLIC_URL: Final = "https://rollcall.example.org"
DIRTY: Final = (
    b"First Name,Last Name,Email,Country\nAda,Lovelace,ada@example.com,UK\na,b,wrong,UK\n"
)


class Mailbox:
    """What a mail server has taken."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        assert isinstance(envelope.content, bytes)
        self.taken.append(envelope.content)
        return "250 OK"


@pytest.fixture(scope="module")
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    """A mail server, and its port."""
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    yield box, server.port
    server.stop()


@pytest.fixture(scope="module")
def rig(
    surroundings_of_session: Surroundings,
    tmp_path_factory: pytest.TempPathFactory,
    mailbox: tuple[Mailbox, int],
) -> Iterator[Rig]:
    """An installation that may send to this machine."""
    logs = tmp_path_factory.mktemp("logs")
    with ground(surroundings_of_session) as made:
        environ = {
            **made.environ,
            "ROLLCALL_WEBHOOKS_ALLOW_PRIVATE": "yes",
            "ROLLCALL_PUBLIC_URL": PUBLIC_URL,
            "ROLLCALL_SMTP_URL": f"smtp://127.0.0.1:{mailbox[1]}",
            "ROLLCALL_SMTP_SENDER": "rollcall@example.org",
        }
        with Services(environ, logs) as services:
            services.builder()
            started = Rig.start(made, services)
            yield started
            started.close()


def added(client: httpx2.Client, url: str, **more: Any) -> tuple[str, str]:
    """The id and the secret of a new webhook."""
    answer = client.post(HOOKS, json={"url": url, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"], answer.json()["secret"]


def signed_in(rig: Rig, name: str) -> httpx2.Client:
    """Whoever has this name."""
    auth = (name, f"secret of {name}")
    return httpx2.Client(base_url=rig.client.url, auth=auth, timeout=60, trust_env=False)


def deliveries(client: Client, hook: str) -> list[dict[str, Any]]:
    """What was sent to the webhook, the newest first."""
    answer = client.http.get(f"{HOOKS}/{hook}/deliveries")
    assert answer.status_code == 200, answer.text
    return answer.json()["deliveries"]


def wait_asked(server: ScriptedServer, number: int) -> Asked:
    """The request of this number, from 1, once it has come."""
    wait_until(lambda: len(server.asked) >= number, 60, saying=f"{number} requests came")
    return server.asked[number - 1]


def test_the_ends_of_jobs_are_told_once_and_signed(rig: Rig) -> None:
    """With what became of the job and where to look; another secret verifies nothing."""
    with scripted_server({"/hook": [Answer()]}) as server:
        hook, secret = added(rig.client.http, f"{server.url}/hook", ownJobs=True)
        whole = rig.run(tidy_csv(range(20), word="a"), "upsert")
        dirty = rig.run(DIRTY, "upsert")
        wait_asked(server, 2)
        assert rig.client.change("undo", dirty["id"]).is_success
        told = wait_asked(server, 3)
        wait_until(
            lambda: {each["state"] for each in deliveries(rig.client, hook)} == {"delivered"}, 30
        )
        asked = list(server.asked)
    # In any order: two that end soon after each other are sent at once.
    bodies = [Webhook(secret).verify(each.body, each.headers) for each in asked]
    told_of = {body["type"]: body["data"] for body in bodies}
    assert told_of.keys() == {"job.completed", "job.completed_with_errors", "job.undone"}
    assert told_of["job.completed"]["inserted"] == 20
    assert told_of["job.completed"]["url"] == f"{PUBLIC_URL}/#/jobs/{whole['id']}"
    with_errors = told_of["job.completed_with_errors"]
    assert (with_errors["lines"], with_errors["rejected"]) == (2, 1)
    assert told_of["job.undone"]["jobId"] == dirty["id"]
    assert len({each.headers["webhook-id"] for each in asked}) == 3
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDp2ZMbLO3yDc=").verify(
            told.body, told.headers
        )
    assert rig.client.http.post(f"{HOOKS}/{hook}/delete").status_code == 200


def test_what_is_not_taken_is_tried_again_and_can_be_redelivered(rig: Rig) -> None:
    """Under its one id; an answer 410 ends the webhook."""
    answers = [Answer(500, "try later"), Answer(200, "thanks"), Answer(410)]
    with scripted_server({"/hook": answers}) as server:
        hook, _ = added(rig.client.http, f"{server.url}/hook", events=["job.cancelled"])
        sent = rig.client.http.post(f"{HOOKS}/{hook}/test").json()["id"]
        first, second = wait_asked(server, 1), wait_asked(server, 2)
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        assert json.loads(first.body)["type"] == "webhook.test"
        wait_until(lambda: deliveries(rig.client, hook)[0]["state"] == "delivered", 30)
        (shown,) = deliveries(rig.client, hook)
        assert (shown["id"], shown["attempts"]) == (sent, 2)
        assert (shown["status"], shown["answer"]) == (200, "thanks")
        again = f"{HOOKS}/{hook}/deliveries/{sent}/redeliver"
        assert rig.client.http.post(again).status_code == 200
        assert wait_asked(server, 3).headers["webhook-id"] == first.headers["webhook-id"]

        def is_active() -> bool:
            hooks = rig.client.http.get(HOOKS).json()["webhooks"]
            return next(each["isActive"] for each in hooks if each["id"] == hook)

        wait_until(lambda: not is_active(), 30, saying="the webhook is ended")
    assert rig.client.http.post(f"{HOOKS}/{hook}/delete").status_code == 200


def confirm(page: Page, row: Locator, action: str) -> None:
    """Do it to the row, and say so in the dialog that asks."""
    row.get_by_role("button", name=action).click()
    page.get_by_role("dialog").get_by_role("button", name=action).click()


def add_at_page(page: Page, url: str) -> None:
    """Make a webhook, and close the dialog that shows its secret."""
    page.get_by_role("button", name="Add a webhook").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("To").fill(url)
    dialog.get_by_label("Of what").select_option("What goes wrong")
    dialog.get_by_role("button", name="Add a webhook").click()
    expect(dialog.locator(".secret")).to_contain_text("whsec_")
    assert_accessible(page, "secret")
    dialog.get_by_role("button", name="Close").last.click()


def test_the_page_shows_each_answer_and_sends_again(rig: Rig) -> None:
    """A webhook is made, tried, switched off and deleted there, too."""
    answers = [Answer(500, "try later"), Answer(200, "thanks")]
    with scripted_server({"/hook": answers}) as server, browser() as chromium:
        page = chromium.new_page()
        sign_in(page, rig.client.url, rig.env.password)
        page.goto(f"{rig.client.url}/#/operations/webhooks")
        add_at_page(page, f"{server.url}/hook")
        row = page.get_by_role("row").filter(has_text=server.url)
        expect(row).to_contain_text("What goes wrong")
        confirm(page, row, "Try it")
        sent = page.get_by_role("row").filter(has_text="Trial notice")
        expect(sent).to_contain_text("500 try later", timeout=30_000)
        confirm(page, sent, "Send again")
        expect(sent).to_contain_text("Delivered", timeout=30_000)
        expect(sent).to_contain_text("200 thanks")
        assert_accessible(page, "deliveries")
        page.get_by_role("link", name="Webhooks").first.click()
        row.get_by_role("button", name="Change").click()
        page.get_by_role("dialog").get_by_label("State").select_option("Off")
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(row).to_contain_text("Off")
        confirm(page, row, "Delete")
        expect(page.get_by_text("Nobody is told yet")).to_be_visible()
    assert len({each.headers["webhook-id"] for each in server.asked}) == 1


def test_the_command_line_does_all_that_the_api_does(rig: Rig, tmp_path: Path) -> None:
    """The secret is printed once; what was answered is listed."""
    shell = Shell(rig, tmp_path)
    with scripted_server({"/hook": [Answer(200, "thanks")]}) as server:
        url, event = f"{server.url}/hook", "job.undone"
        made = shell.json("webhooks", "add", url, "--own", "--event", event)
        hook = made["id"]
        sent = shell.json("webhooks", "test", hook)["id"]
        told = wait_asked(server, 1)
        assert Webhook(made["secret"]).verify(told.body, told.headers)["type"] == "webhook.test"
        shell.json("webhooks", "redeliver", hook, sent)
        assert wait_asked(server, 2).headers["webhook-id"] == told.headers["webhook-id"]
    wait_until(lambda: deliveries(rig.client, hook)[0]["state"] == "delivered", 30)
    assert "thanks" in shell.run("webhooks", "deliveries", hook).stdout
    (shown,) = shell.json("webhooks")["webhooks"]
    assert (shown["url"], shown["events"], shown["ownJobs"]) == (url, [event], True)
    assert "secret" not in shown
    changed = shell.json("webhooks", "modify", hook, "--event", "job.failed", "--inactive")
    assert (changed["events"], changed["isActive"]) == (["job.failed"], False)
    assert shell.run("webhooks", "modify", hook).returncode == 2
    assert shell.run("webhooks", "delete", hook).returncode == 0
    gone = shell.run("webhooks", "test", hook)
    assert (gone.returncode, "There is no webhook with this ID" in gone.stderr) == (2, True)


def test_a_kill_between_the_end_of_a_job_and_its_delivery_loses_no_notice(rig: Rig) -> None:
    """Of an API that waits for an answer, and of one that is away while a job ends."""
    is_due = threading.Event()
    with scripted_server({"/hook": [Answer(is_due=is_due), Answer()]}) as server:
        hook, secret = added(rig.client.http, f"{server.url}/hook")
        first = rig.submit(tidy_csv(range(30), word="b"), "upsert")
        held = wait_asked(server, 1)
        second = rig.submit(tidy_csv(range(40), word="c"), "upsert")
        rig.api.kill()
        is_due.set()
        rig.restart_api()
        wait_asked(server, 3)
        wait_until(
            lambda: {each["state"] for each in deliveries(rig.client, hook)} == {"delivered"}, 60
        )
        told = {each.headers["webhook-id"]: each for each in server.asked}
    assert held.headers["webhook-id"] in {each.headers["webhook-id"] for each in server.asked[1:]}
    bodies = [Webhook(secret).verify(each.body, each.headers) for each in told.values()]
    assert sorted(body["data"]["jobId"] for body in bodies) == sorted([str(first), str(second)])
    assert rig.client.http.post(f"{HOOKS}/{hook}/delete").status_code == 200


def test_mail_tells_it_with_a_link(rig: Rig, mailbox: tuple[Mailbox, int]) -> None:
    """To one address, which is checked."""
    for wrong in ("mailto:nobody", "ftp://example.org", "https://me:secret@example.org"):
        assert rig.client.http.post(HOOKS, json={"url": wrong}).status_code == 400
    hook, _ = added(
        rig.client.http, "mailto:grace@example.com", events=["job.completed_with_errors"]
    )
    job = rig.run(DIRTY.replace(b"ada@", b"grace@"), "upsert")
    box = mailbox[0]
    wait_until(lambda: box.taken, 60, saying="the mail has come")
    mail = message_from_bytes(box.taken[0], policy=policy.default)
    assert mail["To"] == "grace@example.com"
    assert "was imported, but for some lines" in mail["Subject"]
    body = mail.get_body(("plain",))
    assert body is not None
    assert f"{PUBLIC_URL}/#/jobs/{job['id']}" in body.get_content()
    assert rig.client.http.post(f"{HOOKS}/{hook}/delete").status_code == 200


def test_an_account_has_its_own_webhooks_and_they_go_with_it(rig: Rig) -> None:
    """Others neither see nor change them; an administrator does."""
    for name in ("hooked", "curious"):
        account = {"name": name, "role": "importer", "password": f"secret of {name}"}
        assert rig.client.http.post(f"{BASE}/admin/accounts", json=account).is_success
    with (
        signed_in(rig, "hooked") as mine,
        signed_in(rig, "curious") as other,
    ):
        hook, _ = added(mine, "https://example.org/hook", events=["job.undone"])
        assert [each["id"] for each in mine.get(HOOKS).json()["webhooks"]] == [hook]
        assert other.get(HOOKS).json()["total"] == 0
        for call in ("delete", "test", "deliveries/1/redeliver"):
            assert other.post(f"{HOOKS}/{hook}/{call}").status_code == 404
        changed = mine.put(f"{HOOKS}/{hook}", json={"events": ["alarm.raised"]}).json()
        assert (changed["events"], changed["isActive"]) == (["alarm.raised"], True)
    assert hook in [each["id"] for each in rig.client.http.get(HOOKS).json()["webhooks"]]
    assert rig.client.http.post(f"{BASE}/admin/accounts/hooked/delete").is_success
    assert rig.client.http.get(HOOKS).json()["total"] == 0
