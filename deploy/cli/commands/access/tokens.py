"""`./rollcall tokens`: credentials for programs."""

from typing import Any

import click

from deploy.api_client.client import path_of
from deploy.cli.api_command import ListingGroup, call_options, page_options
from deploy.cli.commands.access.accounts import ROLES
from deploy.cli.output.listings import Listing
from deploy.cli.output.tables import print_message
from deploy.cli.session import api

_LISTING = Listing(
    "/admin/tokens",
    "tokens",
    "token",
    ("id", "name", "role", "expiresDate", "lastUsedDate", "createdBy", "createdDate"),
    "`rollcall tokens add NAME --role ROLE` adds one.",
)


@click.group(cls=ListingGroup)
def tokens() -> None:
    """Show, add and delete API tokens; without a command, list them.

    Only an account with the role admin may. A program uses a token as ROLLCALL_TOKEN, or in the
    header `Authorization: Bearer …`.
    """


@tokens.command("list", examples=("rollcall tokens", "rollcall tokens --json"))
@page_options
@call_options
def list_tokens(*, as_json: bool, url: str, **query: Any) -> None:
    """Show the tokens; the secrets themselves are not kept."""
    _LISTING.show(url, query, as_json=as_json)


@tokens.command(
    "add",
    examples=(
        "rollcall tokens add crm-sync --role importer --expires-in-days 90",
        "export ROLLCALL_TOKEN=$(rollcall tokens add ci --role reader --json | jq -r .token)",
    ),
)
@click.argument("name")
@click.option("--role", type=ROLES, required=True, help="What the token's holder may do.")
@click.option(
    "--expires-in-days", type=click.IntRange(min=1), help="When it ends.  [default: never]"
)
@call_options
def add_token(
    name: str, role: str, expires_in_days: int | None, *, as_json: bool, url: str
) -> None:
    """Add the token NAME, and show it; this once."""
    body: dict[str, Any] = {"name": name, "role": role}
    if expires_in_days is not None:
        body["expiresInDays"] = expires_in_days
    with api(url) as client:
        answer = client.post("/admin/tokens", body)
    print_message(answer, ("id", "token"), as_json=as_json)


@tokens.command("delete", examples=("rollcall tokens delete 7",))
@click.argument("token_id")
@call_options
def delete_token(token_id: str, *, as_json: bool, url: str) -> None:
    """Delete the token with the id TOKEN_ID; within seconds nobody can use it."""
    with api(url) as client:
        answer = client.post(path_of("admin", "tokens", token_id, "delete"))
    print_message(answer, ("id",), as_json=as_json)
