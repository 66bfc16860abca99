"""Prints what importing a file would do, as tables."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from deploy.cli.output.faults import counts_text, fault_rows, print_fault_counts
from deploy.cli.output.sample_tables import print_changes, print_rows, print_users
from deploy.cli.output.tables import ERROR_COLUMNS, counted, print_line

_COUNTS = {
    "insert": "to insert",
    "update": "to update",
    "unchanged": "unchanged",
    "delete": "to delete",
    "reject": "to reject",
}
_PLACE = ("line", "id")


def print_dry_run(console: Console, file_name: str, answer: Mapping[str, Any]) -> None:
    """Print the counts, then samples of each kind; of an update what was and what would be."""
    numbers = ", ".join(f"{answer[name]} {words}" for name, words in _COUNTS.items())
    print_line(console, str(answer["message"]))
    lines = counted(answer["total"], "line")
    print_line(console, f"{file_name}, {answer['mode']}, {lines}: {numbers}")
    for refusal in answer.get("refusedFor", ()):
        print_line(console, f"It would be refused: {refusal['message']}")
    for note in answer.get("notes", ()):
        print_line(console, note)
    if added := answer.get("newAttributes"):
        print_line(console, f"It would define the attributes {', '.join(added)}.")
    if noted := answer.get("notedBy"):
        print_line(console, f"Not taken as they stand: {counts_text(noted)}")
    samples = answer["samples"]
    print_users(console, "Some to insert", _PLACE, samples["insert"])
    print_changes(console, "Some to update", _PLACE, samples["update"])
    print_rows(console, "Some unchanged", _PLACE, samples["unchanged"])
    print_users(console, "Some to delete", _PLACE, samples["delete"])
    print_fault_counts(console, answer.get("rejectedBy", ()))
    refused, rejected = samples["reject"], answer["reject"]
    more = f": the first {len(refused)} of {rejected:,}" if len(refused) < rejected else ""
    print_rows(console, f"Some to reject{more}", ERROR_COLUMNS, fault_rows(refused))


def removal_text(answer: Mapping[str, Any]) -> str:
    """Say whom a file removes: how many users, of a delsert also how many it has."""
    rejected = f" ({answer['reject']:,} lines would be rejected)" if answer["reject"] else ""
    removed = f"{answer['delete']:,} users will be removed"
    if answer["mode"] == "delete":
        return f"deletes the users whose keys it has: {removed}{rejected}."
    kept = answer["insert"] + answer["update"] + answer["unchanged"]
    return f"replaces the whole audience: {kept:,} users are in the file{rejected}, {removed}."
