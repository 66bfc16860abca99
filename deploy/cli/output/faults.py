"""Prints what lines were rejected for: how often each, and all of each line."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from deploy.cli.output.tables import print_line


def print_fault_counts(console: Console, counts: Sequence[Mapping[str, Any]]) -> None:
    """Print for how many lines each thing is wrong; nothing where there is none."""
    if counts:
        print_line(console, f"Rejected for: {counts_text(counts)}")


def counts_text(counts: Sequence[Mapping[str, Any]]) -> str:
    """Return the counts on one line."""
    return ", ".join(map(_count_text, counts))


def _count_text(count: Mapping[str, Any]) -> str:
    column = f" ({count['column']})" if count["column"] else ""
    return f"{count['count']:,} {count['code']}{column}"


def fault_rows(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row of a table for each thing that is wrong, the line's number in its first."""
    return [
        {**fault, "line": error["line"] if number == 0 else None}
        for error in errors
        for number, fault in enumerate(error.get("faults") or [error])
    ]
