"""Invalid values of optional columns are left out where the upload says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.events import ColumnMapping, UserRow
from schemas.rules.fields import FIELD_BY_NAME, FIELDS
from schemas.rules.rejections import faults_of
from tests.support.data.corpus.values import ATTRIBUTES, REFUSED, TIDY
from tests.support.data.files import csv_of
from tests.support.models.file_oracle import accepted_job
from tests.support.models.validated_events import attribute_outcome, events_of, outcome_of


@pytest.mark.parametrize("mode", ["insert", "upsert", "delsert"])
@pytest.mark.parametrize(
    ("header", "cell", "code"),
    [each for each in REFUSED if not next(f for f in FIELDS if f.header == each[0]).is_required],
)
def test_an_invalid_optional_cell_is_left_out(mode: str, header: str, cell: str, code: str) -> None:
    """The row is that of a blank cell, and says what was left out."""
    event = outcome_of({header: cell}, mode=mode, invalid_optional="drop")

    assert isinstance(event, UserRow)
    (fault,) = faults_of(event.dropped_cells)
    assert (fault.column, fault.code, fault.value) == (header, code, cell.strip()[:255])
    blank = outcome_of({header: ""}, mode=mode)
    assert replace(event, dropped_cells=None, raw=None) == replace(blank, raw=None)


@pytest.mark.parametrize("header", ATTRIBUTES)
def test_an_invalid_attribute_is_left_out(header: str) -> None:
    """It has no entry, not even where blank cells clear."""
    for blank_cells in ("keep", "clear"):
        how = {"mode": "upsert", "blank_cells": blank_cells, "invalid_optional": "drop"}
        event = attribute_outcome({header: "x" * 1025}, **how)
        assert len(faults_of(event.dropped_cells)) == 1
        assert header not in event.attributes


def test_a_cell_that_is_left_out_clears_nothing() -> None:
    """A blank cell does, where blank cells clear."""
    how = {"mode": "upsert", "blank_cells": "clear", "invalid_optional": "drop"}
    bit = FIELD_BY_NAME["mobile_number"].bit
    assert not outcome_of({"Mobile Number": "12"}, **how).present & bit
    assert outcome_of({"Mobile Number": ""}, **how).present & bit


def test_what_is_needed_is_not_left_out() -> None:
    """A required field, the key, a state with the USA."""
    long = "x" * 256
    refused = [
        outcome_of(cells, invalid_optional="drop")
        for cells in ({"First Name": long}, {"Country": "USA", "State": long})
    ]
    key = outcome_of(
        {"Mobile Number": "12"}, reconciliation_key="mobileNumber", invalid_optional="drop"
    )
    assert [event.code for event in (*refused, key)] == [
        "TOO_LONG", "STATE_REQUIRED", "MOBILE_INVALID",
    ]  # fmt: skip
    deleted = outcome_of({"Mobile Number": "12"}, mode="delete", invalid_optional="drop")
    assert deleted.dropped_cells is None


def test_a_subscription_that_is_left_out_says_nothing() -> None:
    """Too long a word may be a known one without its blanks; beside it stands an explicit yes."""
    word = "un sub scri bed - - - - -"
    event = outcome_of({"Email Subscription": word}, invalid_optional="drop")
    assert [fault.code for fault in faults_of(event.dropped_cells)] == ["TOO_LONG"]
    assert event.email_subscription is None
    content = csv_of({"Out": word, "Email Subscription": "yes"}, headers=[*TIDY, "Out"])
    columns = (ColumnMapping("Out", "!Email Subscription"),)
    (both,) = events_of(content, accepted_job(invalid_optional="drop", columns=columns))
    assert both.email_subscription is True
