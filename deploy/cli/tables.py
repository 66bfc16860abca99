"""The API's answers as tables on a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.api_client import JobCounts

JOB_COLUMNS = ("id", "mode", "state", "total", "inserted", "updated", "unchanged", "rejected")
ERROR_COLUMNS = ("line", "column", "code", "reason", "value")
USER_COLUMNS = ("id", "email", "firstName", "lastName", "country", "state", "lastActiveDateStr")

_LONGEST_CELL = 60
_NEVER_FOLDED = ("id", "line", "code", "key")
_WIDTH_OF_A_PIPE = 160


def output() -> Console:
    """Standard output, wide enough for every table where it is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_OF_A_PIPE)


def print_table(
    console: Console, title: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Prints the named fields of each row; what a row does not have is left blank."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in _NEVER_FOLDED)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    console.print(table)


def print_counts(console: Console, job_id: str, counts: JobCounts) -> None:
    """Prints a job's outcome on one line."""
    numbers = ", ".join(
        f"{getattr(counts, name)} {name}"
        for name in ("inserted", "updated", "unchanged", "rejected")
    )
    text = f"Job {job_id}: {counts.state}, {counts.total} lines: {numbers}"
    console.print(text, markup=False, soft_wrap=True)


def _cell(value: object) -> Text:
    # Text and not str: a user's name must not be read as rich's markup.
    text = "" if value is None else str(value)
    return Text(text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…")
