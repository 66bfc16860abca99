"""`./rollcall sources` and `dead-letters`: what other producers sent, and what can't be applied."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from deploy.api_client.client import ApiClient, RefusedError, path_of
from deploy.cli.api_command import ApiCommand, ListingGroup, call_options, page_options
from deploy.cli.command_error import CommandError
from deploy.cli.output.listings import Listing
from deploy.cli.output.plain import plain
from deploy.cli.output.tables import (
    counted,
    next_page,
    output,
    print_fields,
    print_json,
    print_line,
    print_list,
    print_message,
    text,
)
from deploy.cli.session import api

_SOURCES = Listing(
    "/batchinfo/sources",
    "sources",
    "source",
    (
        "source", "total", "lastEvent", "dead", "rejected", "inserted", "updated", "unchanged",
        "deleted", "repeats",
    ),
    "No other producer has sent anything.",
)  # fmt: skip
_LETTERS = "/admin/dead-letters"
_COLUMNS = ("id", "code", "key", "detail", "recordedDate", "retried", "from")
_PAGE = 1000
_MOST = 10_000
_CONFLICT = 409
"""HTTP status: the letter was retried before, or may not be."""

_reason_option = click.option("--reason", metavar="CODE", help="Only letters with this code.")
_source_option = click.option(
    "--source-partition",
    "sourcePartition",
    type=click.IntRange(min=0),
    help="Only letters from this partition of user-events.",
)


@click.command(cls=ApiCommand, examples=("rollcall sources", "rollcall sources --json"))
@page_options
@call_options
def sources(*, as_json: bool, url: str, **query: Any) -> None:
    """Show what other producers sent, by source; those heard of last first.

    A source without a name is that of events that name none, and of records that can't be read.
    """
    _SOURCES.show(url, query, as_json=as_json)


@click.group(cls=ListingGroup)
def dead_letters() -> None:
    """Show and retry dead letters; without a command, list them.

    A dead letter is a record of another producer that could not be applied: it stands in
    user-events-dead as it came, with its reason. Only the role admin may see them.
    """


@dead_letters.command(
    "list",
    examples=(
        "rollcall dead-letters",
        "rollcall dead-letters list --reason ATTRIBUTE_UNKNOWN",
        "rollcall dead-letters list --source-partition 3 --json",
    ),
)
@_reason_option
@_source_option
@page_options
@call_options
def list_dead_letters(*, as_json: bool, url: str, **query: Any) -> None:
    """Show dead letters, the newest first."""
    with api(url) as client:
        answer = client.get(_LETTERS, query)
    if as_json:
        print_json(answer)
        return
    title = counted(answer["total"], "dead letter") + _unsearched(answer)
    title += next_page(answer, "deadLetters", query)
    rows = [_row(letter) for letter in answer["deadLetters"]]
    print_list(output(), title, _COLUMNS, rows, hint="Nothing is to be retried.")


@dead_letters.command("show", examples=("rollcall dead-letters show 1-42",))
@click.argument("letter_id")
@call_options
def show_dead_letter(letter_id: str, *, as_json: bool, url: str) -> None:
    """Show all that is known of the dead letter LETTER_ID, and what its record holds."""
    with api(url) as client:
        answer = client.get(path_of("admin", "dead-letters", letter_id))
    if as_json:
        print_json(answer)
    else:
        print_fields(output(), answer)


@dead_letters.command(
    "retry",
    examples=(
        "rollcall dead-letters retry 1-42",
        "rollcall dead-letters retry 1-42 --again",
        "rollcall dead-letters retry 1-42 --over-newer",
        "rollcall dead-letters retry --reason MISROUTED",
        "rollcall dead-letters retry --all --limit 500",
    ),
    exit_status={1: "Of many letters some were refused; each is named."},
)
@click.argument("letter_id", required=False)
@_reason_option
@_source_option
@click.option("--all", "takes_all", is_flag=True, help="All letters, whatever their reason.")
@click.option("--again", is_flag=True, help="Also letters that were retried before.")
@click.option(
    "--over-newer",
    is_flag=True,
    help="Also letters whose key was changed after them: what is newer is overwritten.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST),
    default=_MOST,
    show_default=True,
    help="So many letters at most, the newest ones.",
)
@call_options
def retry_dead_letters(
    letter_id: str | None, *, takes_all: bool, as_json: bool, url: str, **options: Any
) -> None:
    """Send the record of LETTER_ID, or of all letters that match, to the log once more.

    It goes to the end of user-events and is judged anew: mend first what the letter's detail
    says. What still can't be applied becomes another dead letter. Many letters are retried in the
    order of the log; of those that were retried before, none is without --again.

    A letter whose key was changed after it is refused, because it would set the user back: what
    changed the key is shown, and what the retry would set.
    """
    limit: int = options.pop("limit")
    query = {
        name: "true"
        for name, option in (("again", "again"), ("overNewer", "over_newer"))
        if options.pop(option)
    }
    is_filtered = takes_all or any(value is not None for value in options.values())
    if (letter_id is None) != is_filtered:
        message = "Name one letter, or say which: --reason, --source-partition or --all."
        raise click.UsageError(message)
    with api(url) as client:
        if letter_id is None:
            found = _matching(client, options, limit, again="again" in query)
            _retry_many(client, found, query, as_json=as_json)
            return
        try:
            answer = _retry(client, letter_id, query)
        except RefusedError as error:
            raise CommandError(_refusal(error)) from error
        print_message(answer, ("id", "partition", "offset"), as_json=as_json)
        _warn_of_overtaken([answer])


def _retry(client: ApiClient, letter_id: str, query: Mapping[str, str]) -> dict[str, Any]:
    path = path_of("admin", "dead-letters", letter_id, "retry")
    return client.request("POST", path, params=query)


def _refusal(error: RefusedError) -> str:
    """Say why a retry was refused, and what it would set, a field a line."""
    changes: dict[str, dict[str, Any]] = error.answer.get("wouldSet") or {}
    return "\n  ".join(
        [
            str(error),
            *(
                plain(f"{name}: {_value(change['now'])} → {_value(change['wouldBe'])}")
                for name, change in changes.items()
            ),
        ]
    )


def _value(value: object) -> str:
    return "nothing" if value is None else text(value)


def _warn_of_overtaken(answers: Iterable[Mapping[str, Any]]) -> None:
    for answer in answers:
        if change := answer.get("overtaken"):
            place = f"partition {change['partition']}, offset {change['offset']}"
            click.echo(
                f"{answer['id']}: went over what changed its key at this moment: {place}", err=True
            )


def _matching(
    client: ApiClient, wanted: Mapping[str, Any], limit: int, *, again: bool
) -> list[str]:
    """Ids of the letters that match, in the order of the log.

    All are found before the first one is retried: those that fail again become new letters.
    """
    listed: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for letter in _dead_letters(client, wanted):
        listed.append(letter)
        if again or letter["retried"] is None:
            found.append(letter)
        if len(found) == limit:
            break
    return log_order(found, listed)


def log_order(letters: list[dict[str, Any]], listed: list[dict[str, Any]]) -> list[str]:
    """Ids of these letters of a list, which has the newest first, in the order of the log.

    One that was a retry of another letter is as old as that one.
    """
    ages: dict[str, int] = {}
    retries: dict[tuple[Any, Any], int] = {}
    for at in reversed(range(len(listed))):
        letter = listed[at]
        place = letter["sourcePartition"], letter["sourceOffset"]
        age = ages.setdefault(letter["id"], retries.get(place, at))
        if attempt := letter["retried"]:
            retries[attempt["partition"], attempt["offset"]] = age
    oldest_first = dict.fromkeys(letter["id"] for letter in reversed(letters))
    return sorted(oldest_first, key=lambda letter_id: -ages[letter_id])


def _dead_letters(client: ApiClient, wanted: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    start = 0
    while True:
        query = {**wanted, "start": start, "pageSize": _PAGE}
        answer = client.get(_LETTERS, query)
        if start == 0 and answer["searched"] < answer["all"]:
            click.echo(f"Only the letters{_unsearched(answer)} were searched.", err=True)
        yield from answer["deadLetters"]
        start += _PAGE
        if len(answer["deadLetters"]) < _PAGE:
            return


def _retry_many(
    client: ApiClient, ids: list[str], query: Mapping[str, str], *, as_json: bool
) -> None:
    retried: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    texts: list[str] = []
    for letter_id in ids:
        try:
            retried.append(_retry(client, letter_id, query))
        except RefusedError as error:
            if error.status != _CONFLICT:
                done = f"{len(retried)} of {len(ids)} letters were retried before that"
                raise CommandError(f"{letter_id}: {error}\n  {done}") from error
            shown = {name: error.answer.get(name) for name in ("changedBy", "wouldSet")}
            is_outdated = shown["changedBy"] is not None
            refused.append(
                {"id": letter_id, "message": str(error), **(shown if is_outdated else {})}
            )
            texts.append(f"{letter_id}: {_refusal(error)}")
    if as_json:
        print_json({"retried": retried, "refused": refused})
    else:
        for each in texts:
            click.echo(each)
        print_line(output(), f"{len(retried)} dead letters retried, {len(refused)} refused")
    _warn_of_overtaken(retried)
    if refused:
        sys.exit(1)


def _row(letter: dict[str, Any]) -> dict[str, Any]:
    attempt = letter["retried"]
    return letter | {
        "code": letter["reason"],
        "from": f"{_or_unknown(letter['sourcePartition'])}-{_or_unknown(letter['sourceOffset'])}",
        "retried": attempt
        and f"{attempt['partition']}-{_or_unknown(attempt['offset'])} by {attempt['retriedBy']}",
    }


def _or_unknown(number: int | None) -> str:
    return "?" if number is None else str(number)


def _unsearched(answer: Mapping[str, Any]) -> str:
    """Return what a title says where time did not allow to look at all letters."""
    if answer["searched"] >= answer["all"]:
        return ""
    return f" among the newest {answer['searched']} of {answer['all']}"
