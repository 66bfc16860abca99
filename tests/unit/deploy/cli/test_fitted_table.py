"""Tables on terminals of any width."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from deploy.cli.output.tables import print_table, short_date

_COLUMNS = ("id", "code", "detail", "recordedDate", "retried", "from")
_DETAIL = "There is no attribute favouriteColour: define it, then retry this letter once more."
_LETTERS: list[dict[str, Any]] = [
    {
        "id": "1-42",
        "code": "ATTRIBUTE_UNKNOWN",
        "detail": _DETAIL,
        "recordedDate": "11/29/2015 05:56:36 AM GMT",
        "retried": None,
        "from": "3-9912 of user-events",
    },
    {"id": "1-43", "code": "MISROUTED", "detail": "short", "from": "0-1"},
]


def printed(width: int) -> str:
    """What is shown on a terminal of this width."""
    text = io.StringIO()
    print_table(Console(file=text, width=width), "2 dead letters", _COLUMNS, _LETTERS)
    return text.getvalue()


@pytest.mark.parametrize("width", [48, 60, 80, 100, 160])
def test_no_word_is_broken_and_no_line_is_too_long(width: int) -> None:
    """Whatever the width; text goes on in further lines, codes and ids never do."""
    shown = printed(width)
    table = shown.splitlines()[1:]
    assert all(len(line) <= width for line in table if not line.startswith("No room"))
    assert "ATTRIBUTE_UNKNOWN" in shown
    words = set(re.findall(r"[\w:,.-]+", shown))
    assert set(_DETAIL.split()) <= words


def test_what_has_no_room_is_left_out_from_the_right_and_named() -> None:
    """The first column never is; one that no row has anything in goes first, without a word."""
    narrow, wide = printed(46).splitlines(), printed(160).splitlines()
    assert narrow[1].split() == ["id", "code", "detail"]
    assert narrow[-1] == "No room for: recordedDate (GMT), from"
    assert wide[1].split() == ["id", "code", "detail", "recordedDate", "(GMT)", "retried", "from"]
    assert not any(line.startswith("No room") for line in wide)


def test_dates_are_short() -> None:
    """A day, and a time of an earlier year, are the day; nothing is nothing."""
    assert short_date("11/29/2015 05:56:36 AM GMT") == "2015-11-29"
    assert short_date("02/03/2026 12:00:00 AM GMT") == "2026-02-03"
    assert short_date(None) == ""
