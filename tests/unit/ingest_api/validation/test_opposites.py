"""A column that says who has opted out is read the other way round."""

from __future__ import annotations

import pytest

from schemas.events import ColumnMapping, RowRejected, UserRow
from schemas.rules.fields import FIELD_BY_NAME
from tests.support.data.corpus.values import TIDY
from tests.support.data.files import csv_of
from tests.support.models.file_oracle import accepted_job
from tests.support.models.validated_events import events_of

OPPOSITE = (ColumnMapping("Unsubscribed from all email", "!Email Subscription"),)
OWN = "Email Subscription"


def read(cell: str, own: str | None = None, **changes: str) -> UserRow | RowRejected:
    """A line with this cell in the opposite's column, and one in the subscription's own."""
    cells = {"Unsubscribed from all email": cell} | ({} if own is None else {OWN: own})
    headers = [*(name for name in TIDY if name != OWN), *cells]
    content = csv_of(cells, headers=headers)
    (event,) = events_of(content, accepted_job(columns=OPPOSITE, **changes))
    return event


@pytest.mark.parametrize(
    ("cell", "flag"),
    [
        ("true", False),
        ("Yes", False),
        ("1", False),
        ("false", True),
        ("0", True),
        ("", None),
        ("Unsubscribed", False),
        ("opted_out", False),
        ("subscribed", True),
    ],
)
def test_yes_is_no_and_blank_says_nothing(cell: str, flag: bool | None) -> None:
    """A word for consent says there what it says anywhere."""
    for mode in ("insert", "upsert"):
        event = read(cell, mode=mode)
        assert isinstance(event, UserRow)
        is_set = bool(event.present & FIELD_BY_NAME["email_subscription"].bit)
        assert (event.email_subscription, is_set) == (flag, flag is not None)


@pytest.mark.parametrize(
    ("cell", "own", "flag"),
    [
        ("yes", "yes", False),
        ("no", "no", False),
        ("no", "yes", True),
        ("", "no", False),
        ("yes", "", False),
        ("no", "", True),
        ("", "", None),
    ],
)
def test_no_from_either_column_is_no(cell: str, own: str, flag: bool | None) -> None:
    """A blank cell leaves it to the other."""
    event = read(cell, own)

    assert isinstance(event, UserRow)
    is_set = bool(event.present & FIELD_BY_NAME["email_subscription"].bit)
    assert (event.email_subscription, is_set) == (flag, flag is not None)


def test_a_fault_names_the_cell_as_it_stands() -> None:
    """With the column's name in the file; left out, it is a note, and the other column counts."""
    refused = read("2024-01-31", "yes")
    assert isinstance(refused, RowRejected)
    assert (refused.column, refused.code) == ("Unsubscribed from all email", "BOOLEAN_INVALID")
    assert refused.value == "2024-01-31"
    assert refused.reason.startswith("Unsubscribed from all email is neither true nor false")

    taken = read("2024-01-31", "no", invalid_optional="drop")
    assert isinstance(taken, UserRow)
    assert taken.email_subscription is False
    assert "Unsubscribed from all email" in (taken.dropped_cells or "")
