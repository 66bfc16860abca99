"""`./rollcall presets`: options of imports under a name."""

import io
from collections.abc import Mapping
from typing import Any

import click

from deploy.api_client.client import path_of
from deploy.api_client.upload import Upload, options_of
from deploy.cli.api_command import ListingGroup, call_options
from deploy.cli.commands.jobs.import_file import import_file
from deploy.cli.output.tables import (
    counted,
    output,
    print_fields,
    print_json,
    print_list,
    print_message,
)
from deploy.cli.session import api

_PATH = ("audience", "presets")
_KEPT = {
    "delimiter",
    "blank_cells",
    "overwrite",
    "invalid_optional",
    "phone_region",
    "date_order",
    "max_delete_percent",
    "max_rejected",
    "max_rejected_percent",
    "columns",
    "unknown_columns",
    "sheet",
}
_HINT = "`rollcall presets set NAME --map auto` keeps one."


@click.group(cls=ListingGroup)
def presets() -> None:
    """Show, keep and delete presets: options of imports under a name; without a command, list them.

    `rollcall import FILE --preset NAME` takes what it isn't given itself from the preset. To keep
    or delete one takes the role manager; jobs that were accepted are not touched by either.
    """


@presets.command("list", examples=("rollcall presets", "rollcall presets --json"))
@call_options
def list_presets(*, as_json: bool, url: str) -> None:
    """Show the presets."""
    with api(url) as client:
        answer = client.get(path_of(*_PATH))
    if as_json:
        print_json(answer)
        return
    rows = [{**each, "options": _text(each["options"])} for each in answer["presets"]]
    columns = ("name", "options", "definedBy", "definedDate")
    title = counted(answer["total"], "preset")
    print_list(output(), title, columns, rows, hint=_HINT)


@presets.command("show", examples=("rollcall presets show mailchimp",))
@click.argument("name")
@call_options
def show_preset(name: str, *, as_json: bool, url: str) -> None:
    """Show the preset NAME."""
    with api(url) as client:
        _print(client.get(path_of(*_PATH, name)), as_json=as_json)


@presets.command(
    "set",
    params=[each for each in import_file.params if each.name in _KEPT],
    examples=(
        "rollcall presets set mailchimp --map auto --ignore-unknown --phone-region US",
        "rollcall presets set shop --delimiter ';' --date-order DMY --map 'Kontakt=Email'",
    ),
)
@click.argument("name")
@call_options
def set_preset(name: str, *, as_json: bool, url: str, **given: Any) -> None:
    """Keep these options of imports under NAME, in place of any that are."""
    options = options_of(Upload(file=io.BytesIO(), name="", mode="insert", **given))
    del options["importType"]
    with api(url) as client:
        _print(client.put(path_of(*_PATH, name), {"options": options}), as_json=as_json)


@presets.command("delete", examples=("rollcall presets delete mailchimp",))
@click.argument("name")
@call_options
def delete_preset(name: str, *, as_json: bool, url: str) -> None:
    """Delete the preset NAME."""
    with api(url) as client:
        answer = client.post(path_of(*_PATH, name, "delete"))
    print_message(answer, ("name",), as_json=as_json)


def _print(preset: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(preset)
    else:
        print_fields(output(), {**preset, "options": _text(preset["options"])})


def _text(options: Mapping[str, list[str]]) -> str:
    return "  ".join(f"{name}={value}" for name in options for value in options[name])
