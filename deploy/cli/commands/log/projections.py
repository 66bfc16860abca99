"""`./rollcall rebuild` and `projections`: tables made anew from the log, beside the live ones."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click
from rich.console import Console

from deploy.api_client import projection
from deploy.api_client.client import ApiClient, RefusedError
from deploy.cli.api_command import ApiCommand, call_options, page_options
from deploy.cli.command_error import FAILED, CommandError
from deploy.cli.output.listings import Listing
from deploy.cli.output.progress import rated_text, reported
from deploy.cli.output.tables import (
    output,
    print_json,
    print_line,
    print_table,
    progress_console,
)
from deploy.cli.session import api

_DIFFERENT = 1
_INTERRUPTED = 130
_CONFLICT = 409
_UNTAKEN_S = 5.0
_SWITCHED = ("active", "retired")
_PROJECTIONS = Listing(
    projection.PATH,
    "projections",
    "projection",
    (
        "number",
        "purpose",
        "state",
        "requestedDate",
        "step",
        "recordsDone",
        "recordsTotal",
        "failure",
        "asOf",
        "requestedBy",
    ),
    "A processor makes the first one.",
)


@click.command(cls=ApiCommand, examples=("rollcall projections", "rollcall projections --json"))
@page_options
@call_options
def projections(*, as_json: bool, url: str, **query: Any) -> None:
    """Show all sets of tables made from the log, the newest first."""
    shown = _PROJECTIONS.show(url, query, as_json=as_json)
    if not as_json:
        _print_retries(shown)


def _print_retries(shown: Iterable[Mapping[str, Any]]) -> None:
    """Print what the table has no room for, of the last of each purpose that is tried again."""
    last: dict[str, Mapping[str, Any]] = {}
    for each in shown:
        last.setdefault(each["purpose"], each)
    for each in last.values():
        if each["nextTryDate"] is not None:
            what = f"Projection {each['number']} ({each['purpose']}) failed: {each['failure']}"
            print_line(output(), what)
            print_line(output(), f"It is tried again at {each['nextTryDate']}.")


@click.command(
    cls=ApiCommand,
    examples=(
        "rollcall rebuild",
        "rollcall rebuild --verify-only && echo the tables are what the log makes",
        "rollcall rebuild --mend   # after a table was changed by hand",
        "rollcall rebuild --follow   # the one that is at work",
    ),
    exit_status={
        0: "The tables were equal, and without --verify-only the new ones are live now; "
        "with --mend: the new ones are.",
        _DIFFERENT: "The live tables are not what the log makes; they were left as they are.",
        FAILED: "Refused, or the API could not be reached, or it failed, or wrong usage.",
        _INTERRUPTED: "Ctrl-C; it goes on.",
    },
)
@click.option("--verify-only", is_flag=True, help="Compare, and drop the new tables.")
@click.option("--mend", is_flag=True, help="Use the new tables also where they differ.")
@click.option("--follow", "follows", is_flag=True, help="Ask for none; follow the one at work.")
@call_options
def rebuild(*, verify_only: bool, mend: bool, follows: bool, as_json: bool, url: str) -> None:
    """Build the tables anew from the log, compare them with the live ones, and switch to them.

    Imports and reads go on meanwhile.
    """
    if mend and verify_only:
        raise click.UsageError("--verify-only changes nothing, so there is nothing to --mend.")
    console = progress_console()
    with api(url) as client:
        number = _at_work(client) if follows else _requested(client, verify_only, mend)
        try:
            found = _watched(projection.follow(client, number), console)
        except KeyboardInterrupt:
            print_line(console, f"Interrupted; projection {number} goes on: {_FOLLOW}.")
            sys.exit(_INTERRUPTED)
    if as_json:
        print_json(found)
    else:
        _print(output(), found)
    sys.exit(_exit_status(found))


_FOLLOW = "`rollcall rebuild --follow`"


def _requested(client: ApiClient, verify_only: bool, mend: bool) -> int:  # noqa: FBT001 - flags of the command
    purpose = "verify" if verify_only else "rebuild"
    try:
        return int(projection.request(client, purpose, mend=mend)["number"])
    except RefusedError as error:
        if error.status != _CONFLICT:
            raise
        raise CommandError(f"{error}\n{_FOLLOW} follows it.") from error


def _at_work(client: ApiClient) -> int:
    found = projection.at_work(client)
    if found is None:
        message = "no rebuild or verification is at work: `rollcall projections` lists what was"
        raise CommandError(message)
    return int(found["number"])


def _watched(steps: Iterable[dict[str, Any]], console: Console) -> dict[str, Any]:
    """Return the last of the steps; each is shown as it comes, as a bar or as lines."""
    found: dict[str, Any] = {}
    with reported(console, "") as progress:
        for found in _warned(steps, console):
            done, total = found["recordsDone"], found["recordsTotal"]
            told = rated_text(done, total, "records", found["recordsPerSecond"])
            progress.show(done, total, told, doing=_what(found))
    return found


def _warned(steps: Iterable[dict[str, Any]], console: Console) -> Iterator[dict[str, Any]]:
    """Tell once where nobody seems to work on it."""
    until_s: float | None = time.monotonic() + _UNTAKEN_S
    for step in steps:
        if step["state"] != "requested":
            until_s = None
        elif until_s is not None and time.monotonic() > until_s:
            until_s = None
            print_line(console, "No builder takes it: is `rollcall process` running?")
        yield step


def _what(step: Mapping[str, Any]) -> str:
    doing = step["step"] or step["state"]
    return f"Projection {step['number']} ({step['purpose']}), {doing}"


def _exit_status(found: Mapping[str, Any]) -> int:
    if found["state"] in _SWITCHED:
        return 0
    if projection.differing_tables(found):
        return _DIFFERENT
    return FAILED if found["state"] == "failed" else 0


def _print(console: Console, found: Mapping[str, Any]) -> None:
    differing = projection.differing_tables(found)
    _print_tables(console, found)
    for table in differing:
        title = f"{table['differingCount']} rows of {table['table']} differ"
        print_table(console, title, ("key", "difference"), table["differing"])
    print_line(console, f"Projection {found['number']}: {_outcome(found, differing)}")


def _print_tables(console: Console, found: Mapping[str, Any]) -> None:
    tables = projection.compared_tables(found)
    if tables:
        columns = ("table", "rowsLive", "rowsBuilt", "isEqual", "differingCount")
        offsets = ", ".join(map(str, found["result"].get("offsets") or ()))
        print_table(console, f"Compared at the offsets {offsets}", columns, tables)


def _outcome(found: Mapping[str, Any], differing: list[dict[str, Any]]) -> str:
    if found["state"] in _SWITCHED:
        before = "were mended" if differing else "were equal"
        return f"the tables {before}, and the new ones are live"
    if differing:
        return (
            "the live tables are not what the log makes, and were left as they are."
            " `rollcall rebuild --mend` puts those that the log makes in their place"
        )
    if found["state"] == "failed":
        return f"it failed: {found['failure']}"
    return "the tables are what the log makes"
