"""The API's answers as a terminal shows them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from deploy.cli.output.dry_run_preview import print_dry_run
from deploy.cli.output.plain import plain
from deploy.cli.output.tables import (
    counted,
    flat,
    next_page,
    print_fields,
    print_list,
    print_table,
)


@pytest.fixture
def console() -> Console:
    """One whose text can be read."""
    return Console(file=io.StringIO(), width=120)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_a_users_name_cannot_control_the_terminal() -> None:
    """Escape codes, line breaks and turned text are shown, not obeyed; other text stays."""
    assert plain("a\x1b[2Jb\r\nc\x9bd") == r"a\x1b[2Jb\r\nc\x9bd"
    assert plain("safe\u202egpj.exe") == r"safe\u202egpj.exe"
    assert plain("Zoë 李 👩\u200d🚀 [bold]") == "Zoë 李 👩\u200d🚀 [bold]"


def test_a_cell_is_no_markup(console: Console) -> None:
    """What looks like rich's markup is printed as it is."""
    print_table(console, "t", ("name",), [{"name": "[red]Ada[/red]"}, {"name": None}])

    assert "[red]Ada[/red]" in _text(console)


def test_what_is_counted_is_in_the_plural_unless_it_is_one() -> None:
    """Of nothing, too."""
    found = [counted(number, "rejected line") for number in (0, 1, 2)]
    assert found == ["0 rejected lines", "1 rejected line", "2 rejected lines"]


def test_a_list_without_entries_says_what_makes_one(console: Console) -> None:
    """Where there are none at all; a page beyond the end of others has its number alone."""
    print_list(console, "0 jobs", ("id",), [], hint="`rollcall import FILE` starts one.")
    print_list(console, "5 jobs", ("id",), [], hint="`rollcall import FILE` starts one.")

    assert _text(console) == "0 jobs. `rollcall import FILE` starts one.\n5 jobs"


def test_fields_of_one_thing_are_lines(console: Console) -> None:
    """Attributes stand beside the other fields; what is not there is left out."""
    print_fields(console, {"id": "7", "state": None, "active": True, "attributes": {"plan": "x"}})

    assert _text(console).splitlines() == [
        "id               7",
        "active           true",
        "attributes.plan  x",
    ]


def test_nested_fields_are_named_by_their_path() -> None:
    """However deep."""
    assert flat({"a": {"b": {"c": 1}, "d": 2}, "e": 3}) == {"a.b.c": 1, "a.d": 2, "e": 3}


@pytest.mark.parametrize(
    ("total", "start", "told"), [(3, 0, " (the next page: --start 2)"), (4, 2, ""), (2, 0, "")]
)
def test_a_page_tells_how_to_see_the_next(total: int, start: int, told: str) -> None:
    """The last page tells nothing."""
    answer: dict[str, Any] = {"total": total, "statuses": [{}, {}]}

    assert next_page(answer, "statuses", {"start": start, "pageSize": 2}) == told


def test_rejected_lines_are_paged_by_their_number() -> None:
    """That of the contract's message, which is what the API takes."""
    answer = {"total": 9, "Errors": [{"errorMessage": "Line 7,a,b,Email is required.", "line": 9}]}

    assert next_page(answer, "Errors", {"pageSize": 1}) == " (the next page: --after 7)"


@pytest.mark.parametrize(
    ("after", "page_size", "told"),
    [(None, 1, " (the next page: --after 5)"), (4, 1, " (the next page: --after 5)"), (4, 2, "")],
)
def test_users_are_paged_by_id(after: int | None, page_size: int, told: str) -> None:
    """Their number says nothing about what comes after an id, a page that is not full does."""
    answer = {"total": 9, "audience": [{"id": "5"}]}

    assert next_page(answer, "audience", {"after": after, "pageSize": page_size}) == told


_DRY_RUN = {
    "dryRun": True,
    "message": "Dry run: nothing was changed.",
    "mode": "upsert",
    "total": 4,
    "insert": 1,
    "update": 1,
    "unchanged": 1,
    "delete": 0,
    "reject": 1,
    "samples": {
        "insert": [
            {
                "line": 2,
                "user": {"firstName": "Ada", "state": None, "active": True, "attributes": {"n": 1}},
            }
        ],
        "update": [
            {
                "line": 3,
                "id": "77",
                "before": {"state": "Bavaria", "attributes": {"plan": "basic"}},
                "after": {"state": "Hesse", "attributes": {"plan": "gold"}},
            }
        ],
        "unchanged": [{"line": 4, "id": "78"}],
        "delete": [],
        "reject": [
            {"line": 5, "column": "Email", "code": "REQUIRED", "reason": "Missing.", "value": ""}
        ],
    },
}


def test_a_dry_run_shows_counts_and_samples(console: Console) -> None:
    """Of an update what was and would be, field by field; a kind without samples is left out."""
    print_dry_run(console, "u.csv", _DRY_RUN)

    lines = [" ".join(line.split()) for line in _text(console).splitlines()]
    assert [line for line in lines if line and "─" not in line] == [
        "Dry run: nothing was changed.",
        "u.csv, upsert, 4 lines: 1 to insert, 1 to update, 1 unchanged, 0 to delete, 1 to reject",
        "Some to insert",
        "line firstName attributes.n",
        "2 Ada 1",
        "Some to update",
        "line id field before after",
        "3 77 state Bavaria Hesse",
        "attributes.plan basic gold",
        "Some unchanged",
        "line id",
        "4 78",
        "Some to reject",
        "line column code reason value",
        "5 Email REQUIRED Missing.",
    ]
