"""Jobs as a table that fits the terminal: what there is no room for is left out, not broken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from deploy.cli.output.fitted_table import Column, print_fitted
from deploy.cli.output.plain import plain
from deploy.cli.output.tables import print_line, short_date, shortened
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
    "FAILED": "failed",
}
_SHORTEST_FILE, _LONGEST_FILE = 12, 40


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table, and what it shows of a job."""

    title: str
    rank: int
    cell: Callable[[Mapping[str, Any]], str]
    is_number: bool = False
    least: int | None = None

    def of(self, jobs: Sequence[Mapping[str, Any]]) -> Column:
        """Return the column with a cell for each of these jobs."""
        return Column(
            title=self.title,
            cells=[plain(self.cell(job)) for job in jobs],
            rank=self.rank,
            justify="right" if self.is_number else "left",
            least=self.least,
        )


def print_jobs(console: Console, title: str, jobs: Sequence[Mapping[str, Any]]) -> None:
    """Print a row for each job; columns that no job has anything in are left out, too."""
    print_line(console, title)
    columns = (column.of(jobs) for column in _COLUMNS)
    print_fitted(console, [column for column in columns if any(column.cells)])


def _file(job: Mapping[str, Any]) -> str:
    return shortened(job["fileName"] or "-", _LONGEST_FILE)


def _state(job: Mapping[str, Any]) -> str:
    state = job["state"]
    return _STATES.get(state, state)


def _number(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda job: f"{job[name]:,}"


def _deleted(job: Mapping[str, Any]) -> str:
    return f"{job['deleted']:,}" if job["deleted"] or job["mode"] in REMOVING else ""


_COLUMNS = (
    _Column("file", 0, _file, least=_SHORTEST_FILE),
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
    _Column("sent (GMT)", 2, lambda job: short_date(job["importedDate"])),
    _Column("by", 7, lambda job: job["importedBy"]),
)
