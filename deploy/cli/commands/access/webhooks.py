"""`./rollcall webhooks`: who is told of jobs that end and of alarms."""

from typing import Any

import click

from deploy.api_client.client import path_of
from deploy.cli.api_command import ListingGroup, call_options, page_options
from deploy.cli.output.listings import Listing
from deploy.cli.output.tables import print_message
from deploy.cli.session import api
from ingest_api.notices.events import EVENT_TYPES

_LISTING = Listing(
    "/webhooks",
    "webhooks",
    "webhook",
    ("id", "url", "events", "ownJobs", "isActive", "owner"),
    "`rollcall webhooks add URL` adds one.",
)
_COLUMNS = ("id", "type", "state", "attempts", "status", "answer", "triedDate", "noticeId")
_event_option = click.option(
    "--event",
    "events",
    type=click.Choice(EVENT_TYPES),
    multiple=True,
    help="Of what it is told; may be repeated.  [default: everything]",
)


@click.group(cls=ListingGroup)
def webhooks() -> None:
    """Show, add, change and delete webhooks of this account; without a command, list them.

    A webhook is told how jobs end, and which component of the service does not work: by a request
    in the form of Standard Webhooks, signed with the secret that `add` shows once, or by mail.
    It takes the role importer. What is not taken is tried again for three days.
    """


@webhooks.command("list", examples=("rollcall webhooks", "rollcall webhooks --json"))
@page_options
@call_options
def list_webhooks(*, as_json: bool, url: str, **query: Any) -> None:
    """Show the webhooks of this account; to an administrator, those of all."""
    _LISTING.show(url, query, as_json=as_json)


@webhooks.command(
    "add",
    examples=(
        "rollcall webhooks add https://crm.example.org/rollcall   # prints the secret, once",
        "rollcall webhooks add mailto:grace@example.org --own --event job.completed_with_errors",
    ),
)
@click.argument("receiver")
@_event_option
@click.option("--own", is_flag=True, help="Of jobs only of those of this account.")
@call_options
def add_webhook(
    receiver: str, events: tuple[str, ...], *, own: bool, as_json: bool, url: str
) -> None:
    """Have RECEIVER told: an https address, or `mailto:` and an address of mail."""
    body: dict[str, Any] = {"url": receiver, "ownJobs": own}
    if events:
        body["events"] = events
    with api(url) as client:
        answer = client.post("/webhooks", body)
    print_message(answer, ("id", "secret"), as_json=as_json)


@webhooks.command(
    "modify",
    examples=(
        "rollcall webhooks modify 3 --event job.completed --event alarm.raised",
        "rollcall webhooks modify 3 --active",
    ),
)
@click.argument("webhook_id")
@_event_option
@click.option("--active/--inactive", "is_active", default=None, help="Whether it is told at all.")
@call_options
def modify_webhook(
    webhook_id: str, events: tuple[str, ...], *, is_active: bool | None, as_json: bool, url: str
) -> None:
    """Change of what the webhook is told."""
    body: dict[str, Any] = {} if is_active is None else {"isActive": is_active}
    if events:
        body["events"] = events
    if not body:
        raise click.UsageError("Nothing to change: give --event, --active or --inactive.")
    with api(url) as client:
        answer = client.put(path_of("webhooks", webhook_id), body)
    print_message({**answer, "message": "Webhook changed"}, ("id",), as_json=as_json)


@webhooks.command("delete", examples=("rollcall webhooks delete 3",))
@click.argument("webhook_id")
@call_options
def delete_webhook(webhook_id: str, *, as_json: bool, url: str) -> None:
    """Delete the webhook; nothing more is sent to it."""
    _do(url, path_of("webhooks", webhook_id, "delete"), as_json=as_json)


@webhooks.command("test", examples=("rollcall webhooks test 3",))
@click.argument("webhook_id")
@call_options
def test_webhook(webhook_id: str, *, as_json: bool, url: str) -> None:
    """Send a notice to try the webhook; `deliveries` shows what it answered."""
    _do(url, path_of("webhooks", webhook_id, "test"), as_json=as_json)


@webhooks.command("deliveries", examples=("rollcall webhooks deliveries 3",))
@click.argument("webhook_id")
@page_options
@call_options
def show_deliveries(webhook_id: str, *, as_json: bool, url: str, **query: Any) -> None:
    """Show what was sent to the webhook, the newest first, and how it answered."""
    path = path_of("webhooks", webhook_id, "deliveries")
    hint = f"`rollcall webhooks test {webhook_id}` sends one."
    Listing(path, "deliveries", "delivery", _COLUMNS, hint).show(url, query, as_json=as_json)


@webhooks.command("redeliver", examples=("rollcall webhooks redeliver 3 12",))
@click.argument("webhook_id")
@click.argument("delivery_id")
@call_options
def redeliver(webhook_id: str, delivery_id: str, *, as_json: bool, url: str) -> None:
    """Deliver a notice once more, at once, under the id that it had."""
    path = path_of("webhooks", webhook_id, "deliveries", delivery_id, "redeliver")
    _do(url, path, as_json=as_json)


def _do(url: str, path: str, *, as_json: bool) -> None:
    with api(url) as client:
        answer = client.post(path)
    print_message(answer, ("id",), as_json=as_json)
