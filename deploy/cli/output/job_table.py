"""Jobs as a table that fits the terminal: what there is no room for is left out, not broken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.cli.output.tables import plain, print_line
from schemas.events import JobState
from schemas.rules.modes import REMOVING

_STATES: Mapping[JobState, str] = {
    "ACCEPTED": "waiting",
    "PROCESSING": "running",
    "COMPLETED": "done",
    "COMPLETED_WITH_ERRORS": "errors",
    "REVERTING": "undoing",
    "REVERTED": "undone",
    "CANCELLING": "cancelling",
    "CANCELLED": "cancelled",
}
_DATE = "%m/%d/%Y %I:%M:%S %p GMT"
_SHORTEST_FILE, _LONGEST_FILE = 12, 40
_FILE = "file"


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table; the one of the highest ``rank`` is left out first."""

    title: str
    rank: int
    cell: Callable[[Mapping[str, Any]], str]
    is_number: bool = False


def print_jobs(console: Console, title: str, jobs: Sequence[Mapping[str, Any]]) -> None:
    """Print a row for each job; columns that no job has anything in are left out, too."""
    print_line(console, title)
    columns = [column for column in _COLUMNS if any(map(column.cell, jobs))]
    for column in sorted(columns, key=lambda column: -column.rank):
        if _width(console, _table(columns, jobs, _SHORTEST_FILE)) <= console.width:
            break
        if column.rank:
            columns.remove(column)
    room = console.width - _width(console, _table(columns, jobs, _SHORTEST_FILE))
    file_width = min(_LONGEST_FILE, _SHORTEST_FILE + max(0, room))
    console.print(_table(columns, jobs, file_width))


def _table(columns: Sequence[_Column], jobs: Sequence[Mapping[str, Any]], file_width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        justify = "right" if column.is_number else "left"
        table.add_column(column.title, justify=justify, no_wrap=True)
    for job in jobs:
        table.add_row(*(_cell(column, job, file_width) for column in columns))
    return table


def _cell(column: _Column, job: Mapping[str, Any], file_width: int) -> Text:
    text = Text(plain(column.cell(job)))
    if column.title == _FILE:
        text.truncate(file_width, overflow="ellipsis")
    return text


def _width(console: Console, table: Table) -> int:
    return console.measure(table, options=console.options.update(max_width=10_000)).maximum


def _state(job: Mapping[str, Any]) -> str:
    state = job["state"]
    return _STATES.get(state, state)


def _number(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda job: f"{job[name]:,}"


def _deleted(job: Mapping[str, Any]) -> str:
    return f"{job['deleted']:,}" if job["deleted"] or job["mode"] in REMOVING else ""


def _sent(job: Mapping[str, Any]) -> str:
    at = datetime.strptime(job["importedDate"], _DATE).replace(tzinfo=UTC)
    return f"{at:%m-%d %H:%M}" if at.year == datetime.now(UTC).year else f"{at:%Y-%m-%d}"


_COLUMNS = (
    _Column(_FILE, 0, lambda job: job["fileName"] or "-"),
    _Column("id", 0, lambda job: job["id"]),
    _Column("mode", 5, lambda job: job["mode"]),
    _Column("state", 0, _state),
    _Column("undone by", 3, lambda job: job["revertedBy"] or ""),
    _Column("lines", 6, _number("total"), is_number=True),
    _Column("inserted", 8, _number("inserted"), is_number=True),
    _Column("updated", 9, _number("updated"), is_number=True),
    _Column("unchanged", 10, _number("unchanged"), is_number=True),
    _Column("rejected", 4, _number("rejected"), is_number=True),
    _Column("deleted", 1, _deleted, is_number=True),
    _Column("sent (GMT)", 2, _sent),
    _Column("by", 7, lambda job: job["importedBy"]),
)
