"""`./rollcall users`: the active audience, and single users of it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from deploy.api_client.client import path_of
from deploy.api_client.retry import RetryPolicy, with_retries
from deploy.cli.api_command import ListingGroup, call_options, page_options
from deploy.cli.as_of import as_of_option, build_wait
from deploy.cli.commands.users.export import export_users
from deploy.cli.commands.users.filters import attribute_filters, attribute_option, user_filters
from deploy.cli.commands.users.find_user import user_id_of
from deploy.cli.output.tables import (
    USER_COLUMNS,
    counted,
    flat,
    next_page,
    output,
    print_fields,
    print_json,
    print_list,
    print_message,
    print_table,
    progress_console,
    text,
)
from deploy.cli.session import api

_Command = TypeVar("_Command", bound=Callable[..., Any])

_FIELDS = (
    ("firstName", "--first-name"),
    ("lastName", "--last-name"),
    ("email", "--email"),
    ("mobileNumber", "--mobile-number"),
    ("country", "--country"),
    ("state", "--state"),
    ("lastActiveDate", "--last-active-date"),
)
_SUBSCRIPTIONS = (
    ("smsSubscription", "--sms/--no-sms"),
    ("emailSubscription", "--emails/--no-emails"),
    ("voiceSubscription", "--voice/--no-voice"),
)
_HISTORY_COLUMNS = (
    *("date", "event", "field", "before", "after"),
    *("job", "file", "line", "by", "source", "log"),
)


def _field_options(command: _Command) -> _Command:
    """Adds an option for each field of a user, named as the API names it."""
    command = attribute_option(command)
    for name, option in reversed(_SUBSCRIPTIONS):
        command = click.option(option, name, default=None)(command)
    for name, option in reversed(_FIELDS):
        command = click.option(option, name, metavar="TEXT")(command)
    return command


_NO_USERS = "`rollcall import FILE` adds users; with filters, fewer of them find more."
_user_argument = click.argument("user", metavar="USER")


@click.group(cls=ListingGroup)
def users() -> None:
    """Show, add, change and delete users; without a command, list them.

    A change is in the table `users`, and in every later answer, once the command ends.
    A USER is named by id, reconciliation key, email or mobile number.
    """


@users.command(
    "list",
    examples=(
        "rollcall users",
        "rollcall users --search lovel",
        "rollcall users --job 5889218372019237411",
        "rollcall users --country Germany --attribute plan=gold",
        "rollcall users --after 281474976710977 --page-size 1000 --json",
        "rollcall users --as-of 5889218372019237411   # as it was after that job",
        "rollcall users --as-of 2026-11-24T18:00+01:00 --email ada@example.com",
    ),
)
@user_filters
@click.option("--after", type=click.IntRange(min=0), help="Only users whose id is above this one.")
@as_of_option
@page_options
@call_options
def list_users(*, attributes: dict[str, str], as_json: bool, url: str, **query: Any) -> None:
    """Show users by id.

    The next page is that --after the last id of this one; it costs the same at any depth.
    """
    query |= attribute_filters(attributes)
    with api(url) as client:
        answer = with_retries(lambda: client.get("/audience", query), _retry_policy(query["asOf"]))
    if as_json:
        print_json(answer)
        return
    rows = [flat(user) for user in answer["audience"]]
    names = sorted({name for row in rows for name in row if name.startswith("attributes.")})
    title = counted(answer["total"], "user") + next_page(answer, "audience", query)
    print_list(output(), title, (*USER_COLUMNS, *names), rows, hint=_NO_USERS)


users.add_command(export_users)


@users.command(
    "get",
    examples=(
        "rollcall users get ada@example.com",
        "rollcall users get 281474976710657",
        "rollcall users get 281474976710657 --as-of 5889218372019237411",
    ),
)
@_user_argument
@as_of_option
@call_options
def get_user(user: str, *, as_json: bool, url: str, **query: Any) -> None:
    """Show one user."""
    policy = _retry_policy(query["asOf"])
    with api(url) as client:
        user_id = user_id_of(client, user, query, policy)
        answer = with_retries(lambda: client.get(path_of("audience", user_id), query), policy)
    if as_json:
        print_json(answer)
    else:
        print_fields(output(), answer)


@users.command(
    "create",
    examples=(
        "rollcall users create --first-name Ada --last-name Lovelace \\",
        "    --email ada@example.com --country UK --attribute plan=gold",
    ),
)
@_field_options
@call_options
def create_user(*, attributes: dict[str, str], as_json: bool, url: str, **fields: Any) -> None:
    """Add a user, and print the id.

    First name, last name, email and country are required, a state where the country is USA.
    """
    with api(url) as client:
        answer = client.post("/audience", _body(fields, attributes))
    print_message(answer, ("id",), as_json=as_json)


@users.command(
    "modify",
    examples=(
        "rollcall users modify ada@example.com --country USA --state Texas --no-sms",
        'rollcall users modify 281474976710657 --state "" --attribute plan=   # clears both',
    ),
)
@_user_argument
@_field_options
@call_options
def modify_user(
    user: str, *, attributes: dict[str, str], as_json: bool, url: str, **fields: Any
) -> None:
    """Change what is given of the USER; an empty value clears it."""
    body = _body(fields, attributes)
    if not body:
        raise click.UsageError("Nothing to change: give at least one field.")
    with api(url) as client:
        answer = client.put(path_of("audience", user_id_of(client, user)), body)
    print_message(answer, ("id",), as_json=as_json)


@users.command("delete", examples=("rollcall users delete ada@example.com",))
@_user_argument
@call_options
def delete_user(user: str, *, as_json: bool, url: str) -> None:
    """Delete the USER."""
    with api(url) as client:
        answer = client.post(path_of("audience", user_id_of(client, user), "delete"))
    print_message(answer, ("id",), as_json=as_json)


@users.command("history", examples=("rollcall users history ada@example.com",))
@_user_argument
@call_options
def user_history(user: str, *, as_json: bool, url: str) -> None:
    """Show what made and changed the USER, the oldest first.

    The column `log` is where its event stands: partition and offset of `user-events`.
    """
    with api(url) as client:
        answer = client.get(path_of("audience", user_id_of(client, user), "history"))
    if as_json:
        print_json(answer)
        return
    rows = [row for event in answer["history"] for row in _changes(event)]
    print_table(output(), counted(answer["total"], "event"), _HISTORY_COLUMNS, rows)


def _retry_policy(as_of: str | None) -> RetryPolicy:
    """Return the policy of a read: nobody waits who asks for the audience as it is now."""
    return RetryPolicy(for_s=0) if as_of is None else build_wait(progress_console())


def _changes(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each field that the event set, with the event itself in the first one."""
    head = {
        "date": event["date"],
        "event": event["event"],
        "job": event["jobId"],
        "file": event["fileName"],
        "line": event["line"],
        "log": f"{event['partition']}:{event['offset']}",
        "by": event["importedBy"],
        "source": event["source"],
    }
    kept: Mapping[str, str] = dict.fromkeys(event["optOutsKept"], " (opt-out kept)")
    changes: Mapping[str, Mapping[str, Any]] = {
        **{name: {"before": False, "after": False} for name in kept},
        **event["changes"],
    }
    rows = [
        {
            "field": name,
            "before": text(change["before"]),
            "after": text(change["after"]) + kept.get(name, ""),
        }
        for name, change in changes.items()
    ] or [{}]
    return [head | rows[0], *rows[1:]]


def _body(fields: Mapping[str, Any], attributes: Mapping[str, str]) -> dict[str, Any]:
    """Return what was given; an empty text is null.

    Of attributes the text itself, which the API reads as a file's cell, whatever the type.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    body: dict[str, Any] = {name: None if value == "" else value for name, value in given.items()}
    if attributes:
        body["attributes"] = {name: value or None for name, value in attributes.items()}
    return body
