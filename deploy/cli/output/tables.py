"""Prints the API's answers on a terminal: tables, or JSON."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, cast

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.api_client.job import JobCounts
from deploy.cli.output.fitted_table import Column, print_fitted
from deploy.cli.output.plain import plain
from schemas.log.job_states import OUTCOMES

ERROR_COLUMNS = ("line", "column", "code", "reason", "value")
USER_COLUMNS = ("id", "email", "firstName", "lastName", "country", "state", "lastActiveDateStr")

DEFAULT_PAGE_SIZE = 20

_LONGEST_CELL = 120
_LONGEST = {"value": 40, "detail": 1000}
"""Characters of a cell, where a column has a limit of its own."""
_NEVER_FOLDED = ("id", "line", "code", "key", "setting")
_DATE_FORM: Final = "%m/%d/%Y %I:%M:%S %p GMT"
_DATE: Final = re.compile(r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d [AP]M GMT$")
_UNUSED_RANK: Final = 1000
"""Added to the rank of a column that no row has anything in."""
_WIDTH_OF_A_PIPE = 160


class _Output(Console):
    """A console that leaves a closed pipe to `deploy.cli`, as click does."""

    def on_broken_pipe(self) -> NoReturn:
        """Say that nobody reads any more."""
        raise BrokenPipeError


def output() -> Console:
    """Standard output, wide enough for every table where it is not a terminal."""
    console = _Output()
    return console if console.is_terminal else _Output(width=_WIDTH_OF_A_PIPE)


def progress_console() -> Console:
    """Standard error, where progress bars don't mix with what a command prints."""
    return Console(stderr=True)


def print_json(answer: Mapping[str, Any]) -> None:
    """Print the API's answer as it came."""
    click.echo(json.dumps(answer, ensure_ascii=False, indent=2))


def print_message(answer: Mapping[str, Any], names: Sequence[str], *, as_json: bool) -> None:
    """Print what the API has done, and these of the answer's fields, a line each."""
    if as_json:
        print_json(answer)
        return
    lines = [f"{name}: {answer[name]}" for name in names if answer.get(name) is not None]
    click.echo("\n".join(plain(line) for line in [str(answer["message"]), *lines]))


def print_table(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Print the named fields of each row; what a row does not have is left blank.

    Columns that there is no room for are left out: first what no row has, then from the right.
    """
    # Apart from the table, whose width would fold it.
    console.print(Text(plain(title)), style="bold", soft_wrap=True)
    found = [_column(name, rank, rows) for rank, name in enumerate(columns)]
    left_out = print_fitted(console, found)
    if left_out:
        names = ", ".join(left_out)
        console.print(Text(f"No room for: {names}"), style="dim", soft_wrap=True)


def _column(name: str, rank: int, rows: Sequence[Mapping[str, Any]]) -> Column:
    values = [row.get(name) for row in rows]
    there = [value for value in values if text(value)]
    are_dates = bool(there) and all(isinstance(each, str) and _DATE.match(each) for each in there)
    longest = _LONGEST.get(name, _LONGEST_CELL)
    show = short_date if are_dates else text
    is_whole = are_dates or name in _NEVER_FOLDED
    return Column(
        title=f"{name} (GMT)" if are_dates else name,
        cells=[shortened(plain(show(value)), longest) for value in values],
        rank=rank if there else rank + _UNUSED_RANK,
        justify="right" if there and all(type(each) is int for each in there) else "left",
        is_text=not is_whole,
    )


def print_list(
    console: Console,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    *,
    hint: str,
) -> None:
    """Print a table; without rows its title alone, and where there are none at all, a hint."""
    if rows:
        print_table(console, title, columns, rows)
    else:
        print_line(console, f"{title}. {hint}" if title.startswith("0 ") else title)


def counted(number: int, noun: str) -> str:
    """Return the number with its noun, in the plural unless it is one."""
    return f"{number} {of_number(noun, number)}"


def of_number(noun: str, number: int) -> str:
    """Return the noun in the plural unless the number is one."""
    return noun if number == 1 else f"{noun}s"


def print_fields(console: Console, fields: Mapping[str, Any]) -> None:
    """Print one thing, a field a line; what it does not have is left out."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, value in flat(fields).items():
        if value is not None:
            table.add_row(Text(plain(name)), Text(plain(text(value))))
    console.print(table)


def print_counts(console: Console, job_id: str, counts: JobCounts) -> None:
    """Print a job's outcome on one line, and how many users it removed, if any."""
    numbers = ", ".join(f"{getattr(counts, name)} {name}" for name in OUTCOMES)
    users = of_number("user", counts.deleted)
    removed = f"; {counts.deleted:,} {users} deleted" if counts.deleted else ""
    noted = f"; {counted(counts.notes, 'note')}" if counts.notes else ""
    lines = counted(counts.total, "line")
    print_line(console, f"Job {job_id}: {counts.state}, {lines}: {numbers}{removed}{noted}")


def print_line(console: Console, line: str) -> None:
    """Print a line as it is, however wide the terminal."""
    console.print(plain(line), markup=False, highlight=False, soft_wrap=True)


def next_page(answer: Mapping[str, Any], name: str, query: Mapping[str, Any]) -> str:
    """Return which option shows the next page, for a table's title; empty on the last one.

    `name` is that of the answer's entries, `query` what was asked for.
    """
    start, page_size = query.get("start", 0), query.get("pageSize", DEFAULT_PAGE_SIZE)
    end = start + len(answer[name])
    if len(answer[name]) < page_size or (query.get("after") is None and end >= answer["total"]):
        return ""
    place = _key_of_page(name, answer[name][-1])
    return (
        f" (the next page: --start {end})"
        if place is None
        else f" (the next page: --after {place})"
    )


def _key_of_page(name: str, last: Mapping[str, Any]) -> str | None:
    """Return what the next page comes after, so that it costs the same at any depth."""
    if name == "audience":
        return last["id"]
    if name == "Errors":
        return str(last["errorMessage"]).removeprefix("Line ").partition(",")[0]
    return None


def flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with those of a field put beside it: `attributes.plan`."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            inner = flat(cast("dict[str, Any]", value))
            found |= {f"{name}.{key}": each for key, each in inner.items()}
        else:
            found[name] = value
    return found


def text(value: object) -> str:
    """Return a value as people write it; nothing where there is none."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shortened(shown: str, longest: int) -> str:
    """Return the text, cut where it is longer."""
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def short_date(date: str | None) -> str:
    """Return the API's date as a table has it: a day, or a time of this year to the minute."""
    if not date:
        return ""
    at = datetime.strptime(date, _DATE_FORM).replace(tzinfo=UTC)
    is_day = (at.hour, at.minute, at.second) == (0, 0, 0)
    is_time = not is_day and at.year == datetime.now(UTC).year
    return f"{at:%m-%d %H:%M}" if is_time else f"{at:%Y-%m-%d}"
