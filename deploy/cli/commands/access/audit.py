"""`./rollcall audit`: who changed what, when, and from where."""

from typing import Any

import click

from deploy.cli.api_command import ListingGroup, call_options, page_options
from deploy.cli.output.listings import Listing
from deploy.cli.output.tables import print_json
from deploy.cli.session import api

_LISTING = Listing(
    "/admin/audit",
    "acts",
    "act",
    ("date", "account", "kind", "target", "result", "address"),
    "Whatever an account changes is told here.",
)
_BROKEN = 3


@click.group(cls=ListingGroup)
def audit() -> None:
    """Show which account changed what, and check that nobody has changed that.

    Only an account with the role admin may. Every request that changes something is here before
    it is done, and so are `accounts reset-password`, `erase` and `rekey`; imports are told by
    `jobs`, and changes of single users by `users history`.
    """


@audit.command(
    "list",
    examples=(
        "rollcall audit",
        "rollcall audit --account crm --kind job.undo --kind job.cancel",
        "rollcall audit --since 2026-11-01 --json",
    ),
)
@click.option("--account", multiple=True, help="Only acts of this account; may be repeated.")
@click.option("--kind", multiple=True, help="Only of this kind, as account.add; may be repeated.")
@click.option("--since", help="Only from this time on, such as 2026-11-01T09:00Z.")
@click.option("--until", help="Only before this time.")
@page_options
@call_options
def list_acts(*, as_json: bool, url: str, **query: Any) -> None:
    """Show the acts, the newest first."""
    asked = {name: value for name, value in query.items() if value not in (None, ())}
    _LISTING.show(url, asked, as_json=as_json)


@audit.command(
    "check",
    examples=("rollcall audit check",),
    exit_status={_BROKEN: "A row was changed or is missing; its number is printed."},
)
@call_options
def check_audit(*, as_json: bool, url: str) -> None:
    """Check that each row is as it was written; who keeps the seal sees if the last are missing."""
    with api(url) as client:
        found = client.get("/admin/audit/check")
    if as_json:
        print_json(found)
    elif found["isIntact"]:
        click.echo(f"All {found['rows']} rows are as they were written.\nseal: {found['seal']}")
    else:
        click.echo(f"Row {found['brokenAt']} was changed, or follows one that is missing.")
    if not found["isIntact"]:
        raise SystemExit(_BROKEN)
