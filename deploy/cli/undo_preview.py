"""What undoing a job would do, or doing it again, as tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from deploy.api_client.job import OUTCOMES
from deploy.cli.tables import flat, print_line, print_table

_HIDDEN = frozenset(
    {"id", "active", "smsSubscription", "emailSubscription", "voiceSubscription"}
    | {"createdDateStr", "lastModifiedDateStr"}
)


def print_preview(console: Console, answer: Mapping[str, Any]) -> None:
    """Prints the counts, then samples of each kind; of a change what is and what would be."""
    print_line(console, str(answer["message"]))
    print_line(
        console,
        f"Job {answer['id']}: {answer['restored']} users would be there again,"
        f" {answer['removed']} gone, {answer['changedBack']} changed back,"
        f" {answer['kept']} kept because of what came later;"
        f" users now {answer['usersBefore']}, then {answer['usersAfter']}",
    )
    samples: Mapping[str, Sequence[Mapping[str, Any]]] = answer["samples"]
    _print_users(console, f"There again, {_of(answer, 'restored')}", samples["restored"])
    _print_users(console, f"Gone, {_of(answer, 'removed')}", samples["removed"])
    changes = [row for sample in samples["changedBack"] for row in _changes(sample)]
    title = f"Changed back, {_of(answer, 'changedBack')}"
    _print_rows(console, title, ("key", "field", "before", "after"), changes)
    title = f"Kept, {_of(answer, 'kept')}"
    kept = [
        {"key": sample["key"], "changedBy": sample["changedBy"] or "no job"}
        for sample in samples["kept"]
    ]
    _print_rows(console, title, ("key", "changedBy"), kept)
    later = [_outcomes(job) for job in answer["laterJobs"]]
    _print_rows(console, "Later jobs that would end otherwise", ("id", *OUTCOMES), later)


def _of(answer: Mapping[str, Any], name: str) -> str:
    """How many of a kind the samples are, and of how many."""
    shown, total = len(answer["samples"][name]), answer[name]
    return f"all {total}" if shown == total else f"{shown} of {total}"


def _print_users(console: Console, title: str, samples: Sequence[Mapping[str, Any]]) -> None:
    rows = [{"key": sample["key"]} | flat(sample["user"]) for sample in samples]
    told = (name for row in rows for name, value in row.items() if value not in {None, ""})
    columns = tuple(name for name in dict.fromkeys(told) if name not in _HIDDEN)
    _print_rows(console, title, columns, rows)


def _print_rows(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    if rows:
        print_table(console, title, columns, rows)


def _changes(sample: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each field that changes; the user stands in the first one only."""
    before, after = flat(sample["before"]), flat(sample["after"])
    place: dict[str, Any] = {"key": sample["key"]}
    for name in dict.fromkeys((*before, *after)):
        yield place | {"field": name, "before": before.get(name), "after": after.get(name)}
        place = {}


def _outcomes(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job's counts, as `before → after` where they differ."""
    before, after = job["before"], job["after"]
    pairs = {name: (before[name], after[name]) for name in OUTCOMES}
    shown = {
        name: f"{old}" if old == new else f"{old} → {new}" for name, (old, new) in pairs.items()
    }
    return {"id": job["id"]} | shown
