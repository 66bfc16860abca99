"""Prints samples of users, and of what would change of them, as tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from deploy.cli.output.tables import flat, print_table

_HIDDEN = frozenset(
    {"line", "id", "active", "smsSubscription", "emailSubscription", "voiceSubscription"}
    | {"createdDateStr", "lastModifiedDateStr"}
)

Samples = Sequence[Mapping[str, Any]]


def print_users(console: Console, title: str, place: Sequence[str], samples: Samples) -> None:
    """Print users; `place` names the columns, before theirs, that say which user it is."""
    rows = [
        {name: sample[name] for name in place if name in sample} | flat(sample["user"])
        for sample in samples
    ]
    filled = (name for row in rows for name, value in row.items() if value not in {None, ""})
    first = [name for name in place if samples and name in samples[0]]
    columns = dict.fromkeys((*first, *(name for name in filled if name not in _HIDDEN)))
    print_rows(console, title, tuple(columns), rows)


def print_rows(console: Console, title: str, columns: Sequence[str], rows: Samples) -> None:
    """Print a table, where there is anything in it."""
    if rows:
        print_table(console, title, columns, rows)


def print_changes(console: Console, title: str, place: Sequence[str], samples: Samples) -> None:
    """Print a row for each field that changes; the user stands in the first one only."""
    rows = [row for sample in samples for row in _changes(sample, place)]
    print_rows(console, title, (*place, "field", "before", "after"), rows)


def _changes(sample: Mapping[str, Any], place: Sequence[str]) -> Iterator[dict[str, Any]]:
    before, after = flat(sample["before"]), flat(sample["after"])
    which = {name: sample[name] for name in place}
    for name in dict.fromkeys((*before, *after)):
        yield which | {"field": name, "before": before.get(name), "after": after.get(name)}
        which = {}
