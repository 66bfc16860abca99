"""What importing a file would do, as tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from deploy.cli.tables import ERROR_COLUMNS, flat, print_line, print_table

_COUNTS = {
    "insert": "to insert",
    "update": "to update",
    "unchanged": "unchanged",
    "delete": "to delete",
    "reject": "to reject",
}
_HIDDEN = frozenset(
    {"line", "id", "active", "smsSubscription", "emailSubscription", "voiceSubscription"}
    | {"createdDateStr", "lastModifiedDateStr"}
)
_CHANGE_COLUMNS = ("line", "id", "field", "before", "after")


def print_dry_run(console: Console, file_name: str, answer: Mapping[str, Any]) -> None:
    """Prints the counts, then samples of each kind; of an update what was and what would be."""
    numbers = ", ".join(f"{answer[name]} {words}" for name, words in _COUNTS.items())
    print_line(console, str(answer["message"]))
    print_line(console, f"{file_name}, {answer['mode']}, {answer['total']} lines: {numbers}")
    samples: Mapping[str, Sequence[Mapping[str, Any]]] = answer["samples"]
    _print_users(console, "Some to insert", samples["insert"])
    changes = [row for sample in samples["update"] for row in _changes(sample)]
    _print_rows(console, "Some to update", _CHANGE_COLUMNS, changes)
    _print_rows(console, "Some unchanged", ("line", "id"), samples["unchanged"])
    _print_users(console, "Some to delete", samples["delete"])
    _print_rows(console, "Some to reject", ERROR_COLUMNS, samples["reject"])


def _print_users(console: Console, title: str, samples: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        {name: sample[name] for name in ("line", "id") if name in sample} | flat(sample["user"])
        for sample in samples
    ]
    told = (name for row in rows for name, value in row.items() if value not in {None, ""})
    first = tuple(name for name in ("line", "id") if samples and name in samples[0])
    columns = (*first, *dict.fromkeys(name for name in told if name not in _HIDDEN))
    _print_rows(console, title, columns, rows)


def _print_rows(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    if rows:
        print_table(console, title, columns, rows)


def _changes(sample: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each field that changes; the line and the user stand in the first one only."""
    before, after = flat(sample["before"]), flat(sample["after"])
    place: dict[str, Any] = {"line": sample["line"], "id": sample["id"]}
    for name in dict.fromkeys((*before, *after)):
        yield place | {"field": name, "before": before.get(name), "after": after.get(name)}
        place = {}
