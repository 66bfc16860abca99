"""`./rollcall attributes`: what users have beside the fields that all have."""

from typing import Any

import click

from deploy.api_client.client import path_of
from deploy.cli.api_command import ListingGroup, call_options
from deploy.cli.output.listings import Listing
from deploy.cli.output.tables import output, print_fields, print_json, print_message
from deploy.cli.session import api

_LISTING = Listing(
    "/admin/attributes",
    "attributes",
    "attribute",
    (
        *("name", "label", "type", "isReconciliationKey", "isIndexed", "isRetired"),
        *("definedDate", "definedBy"),
    ),
    "`rollcall attributes add NAME --type TYPE` defines one.",
)


@click.group(cls=ListingGroup)
def attributes() -> None:
    """Show, define, rename and retire custom attributes; without a command, list them.

    A file may have a column for each, by its name. To define one takes the role admin, and it
    can't be taken back: values of it stand in the log for ever.
    """


@attributes.command("list", examples=("rollcall attributes", "rollcall attributes --json"))
@call_options
def list_attributes(*, as_json: bool, url: str) -> None:
    """Show the attributes."""
    _LISTING.show(url, {}, as_json=as_json)


@attributes.command(
    "add",
    examples=(
        "rollcall attributes add plan --type string",
        'rollcall attributes add "Customer Number" --type string --reconciliation-key',
    ),
)
@click.argument("name")
@click.option(
    "--type",
    type=click.Choice(["string", "number", "boolean", "date"]),
    required=True,
    help="What its values are.",
)
@click.option(
    "--reconciliation-key",
    "isReconciliationKey",
    is_flag=True,
    help="It may tell users apart, on a server that is set so.",
)
@click.option(
    "--index/--no-index",
    "isIndexed",
    default=True,
    show_default=True,
    help="Whether users are found by it quickly.",
)
@call_options
def add_attribute(*, as_json: bool, url: str, **definition: Any) -> None:
    """Define the attribute NAME; files may have a column of that name from then on."""
    with api(url) as client:
        answer = client.post("/admin/attributes", definition)
    print_message(answer, ("name",), as_json=as_json)


@attributes.command(
    "rename",
    examples=(
        "rollcall attributes rename plan Membership",
        "rollcall attributes rename plan   # shown by its own name again",
    ),
)
@click.argument("name")
@click.argument("label", required=False)
@call_options
def rename_attribute(name: str, label: str | None, *, as_json: bool, url: str) -> None:
    """Show the attribute NAME as LABEL, which columns of files may be called, too."""
    _change(url, name, {"label": label}, as_json=as_json)


@attributes.command("retire", examples=("rollcall attributes retire plan",))
@click.argument("name")
@call_options
def retire_attribute(name: str, *, as_json: bool, url: str) -> None:
    """Let no file have a column of the attribute NAME any more; its values stay."""
    _change(url, name, {"isRetired": True}, as_json=as_json)


@attributes.command("restore", examples=("rollcall attributes restore plan",))
@click.argument("name")
@call_options
def restore_attribute(name: str, *, as_json: bool, url: str) -> None:
    """Let files have a column of the retired attribute NAME again."""
    _change(url, name, {"isRetired": False}, as_json=as_json)


def _change(url: str, name: str, change: dict[str, Any], *, as_json: bool) -> None:
    with api(url) as client:
        answer = client.put(path_of("admin", "attributes", name), change)
    if as_json:
        print_json(answer)
    else:
        print_fields(output(), answer)
