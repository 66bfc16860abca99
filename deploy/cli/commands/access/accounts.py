"""`./rollcall accounts`: who may use the API."""

from typing import Any

import click

from deploy.api_client.client import path_of
from deploy.cli.api_command import ListingGroup, call_options, page_options
from deploy.cli.commands.access.reset_password import password_option, reset_password
from deploy.cli.output.listings import Listing
from deploy.cli.output.tables import print_message
from deploy.cli.session import api, new_password
from ingest_api.web.roles import ROLES as ALL_ROLES

_LISTING = Listing(
    "/admin/accounts",
    "accounts",
    "account",
    ("name", "role", "createdDate", "modifiedDate"),
    "`rollcall accounts add NAME --role ROLE` adds one.",
)
ROLES = click.Choice(ALL_ROLES)


@click.group(cls=ListingGroup)
def accounts() -> None:
    """Show, add, change and delete accounts; without a command, list them.

    Only an account with the role admin may. The roles: reader sees everything; importer also
    imports, adds and changes users, and undoes its own jobs while nobody else has changed the
    audience since; manager also replaces the audience (delsert) and deletes by a file of keys;
    admin also deletes users, undoes any job, and does this.
    """


@accounts.command("list", examples=("rollcall accounts", "rollcall accounts --json"))
@page_options
@call_options
def list_accounts(*, as_json: bool, url: str, **query: Any) -> None:
    """Show the accounts by name."""
    _LISTING.show(url, query, as_json=as_json)


@accounts.command(
    "add",
    examples=(
        "rollcall accounts add crm --role importer   # prints the password, once",
        "rollcall accounts add grace --role admin --ask-password",
        "pass show rollcall/grace | rollcall accounts modify grace --ask-password",
    ),
)
@click.argument("name")
@click.option("--role", type=ROLES, required=True, help="What the account may do.")
@password_option
@call_options
def add_account(name: str, role: str, *, ask_password: bool, as_json: bool, url: str) -> None:
    """Add the account NAME; its password is generated and shown once, or asked for."""
    body = {"name": name, "role": role}
    if ask_password:
        body["password"] = new_password(name)
    with api(url) as client:
        answer = client.post("/admin/accounts", body)
    print_message(answer, ("name", "password"), as_json=as_json)


@accounts.command(
    "modify",
    examples=(
        "rollcall accounts modify crm --role reader",
        "rollcall accounts modify crm --ask-password",
    ),
)
@click.argument("name")
@click.option("--role", type=ROLES, help="What the account may do from now on.")
@password_option
@call_options
def modify_account(
    name: str, role: str | None, *, ask_password: bool, as_json: bool, url: str
) -> None:
    """Change the role or the password of the account NAME; at once, everywhere."""
    if role is None and not ask_password:
        raise click.UsageError("Nothing to change: give --role or --ask-password.")
    body = {"role": role} if role else {}
    if ask_password:
        body["password"] = new_password(name)
    with api(url) as client:
        answer = client.put(path_of("admin", "accounts", name), body)
    print_message(answer, ("name",), as_json=as_json)


accounts.add_command(reset_password)


@accounts.command("delete", examples=("rollcall accounts delete crm",))
@click.argument("name")
@call_options
def delete_account(name: str, *, as_json: bool, url: str) -> None:
    """Delete the account NAME; what it imported stays."""
    with api(url) as client:
        answer = client.post(path_of("admin", "accounts", name, "delete"))
    print_message(answer, ("name",), as_json=as_json)
