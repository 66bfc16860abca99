"""Prints what an undo or redo of a job would do, as tables."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from deploy.cli.output.sample_tables import print_changes, print_rows, print_users
from deploy.cli.output.tables import counted, print_line
from schemas.log.job_states import COUNTS

_PLACE = ("key",)


def print_preview(console: Console, answer: Mapping[str, Any]) -> None:
    """Print the counts, then samples of each kind; of a change what is and what would be."""
    print_line(console, str(answer["message"]))
    print_line(
        console,
        f"Job {answer['id']}: {counted(answer['restored'], 'user')} would be there again,"
        f" {answer['removed']} gone, {answer['changedBack']} changed back,"
        f" {answer['kept']} kept because of what came later;"
        f" users now {answer['usersBefore']}, then {answer['usersAfter']}",
    )
    samples = answer["samples"]
    title = f"There again, {_of(answer, 'restored')}"
    print_users(console, title, _PLACE, samples["restored"])
    print_users(console, f"Gone, {_of(answer, 'removed')}", _PLACE, samples["removed"])
    title = f"Changed back, {_of(answer, 'changedBack')}"
    print_changes(console, title, _PLACE, samples["changedBack"])
    title = f"Kept, {_of(answer, 'kept')}"
    kept = [
        {"key": sample["key"], "changedBy": sample["changedBy"] or "no job"}
        for sample in samples["kept"]
    ]
    print_rows(console, title, ("key", "changedBy"), kept)
    later = [_outcomes(job) for job in answer["laterJobs"]]
    print_rows(console, "Later jobs that would end otherwise", ("id", *COUNTS), later)


def _of(answer: Mapping[str, Any], name: str) -> str:
    """Return how many of a kind the samples are, and of how many."""
    shown, total = len(answer["samples"][name]), answer[name]
    return f"all {total}" if shown == total else f"{shown} of {total}"


def _outcomes(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's counts, as `before → after` where they differ."""
    before, after = job["before"], job["after"]
    pairs = {name: (before.get(name, 0), after.get(name, 0)) for name in COUNTS}
    shown = {
        name: f"{old}" if old == new else f"{old} → {new}" for name, (old, new) in pairs.items()
    }
    return {"id": job["id"]} | shown
