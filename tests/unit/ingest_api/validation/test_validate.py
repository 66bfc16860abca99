"""Lines are taken or refused by the rules, in columns as one at a time."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ingest_api.validation.validate import validate_columns
from schemas.events import RowRejected, UserRow
from schemas.rules.attributes import attribute_field
from schemas.rules.fields import FIELD_BY_NAME, FIELDS
from schemas.rules.rejections import faults_of
from tests.support.data.corpus.values import (
    ATTRIBUTES,
    ATTRIBUTES_REFUSED,
    ATTRIBUTES_TAKEN,
    INCOMPLETE,
    NEUTRALISED,
    REFUSED,
    TAKEN,
    TIDY,
)
from tests.support.data.files import csv_of
from tests.support.models.file_oracle import (
    accepted_job,
)
from tests.support.models.validated_events import (
    attribute_outcome,
    events_of,
    outcome_of,
)


@pytest.mark.parametrize("mode", ["insert", "upsert", "delsert"])
@pytest.mark.parametrize(("header", "cell", "code"), REFUSED)
def test_a_bad_value_is_refused_in_every_mode(mode: str, header: str, cell: str, code: str) -> None:
    """The rejection names column, code and cell, and keeps the line as uploaded."""
    event = outcome_of({header: cell}, mode=mode)

    assert isinstance(event, RowRejected)
    assert (event.column, event.code) == (header, code)
    assert event.value == cell.strip()[:1024]
    assert event.raw == csv_of({header: cell}).decode().split("\r\n", 1)[1].removesuffix("\r\n")


def test_every_fault_of_a_line_is_told() -> None:
    """The first in columns of its own, the others beside it, one a column."""
    cells = {
        "First Name": "",
        "Last Name": "",
        "Email": "bad\u200b@",
        "Mobile Number": "12",
        "Last Active Date": "foo",
    }
    taken = outcome_of({})
    inserted, upserted = outcome_of(cells), outcome_of(cells, mode="upsert")
    by_earlier_rules = outcome_of(cells, rules_version=2)

    assert isinstance(taken, UserRow)
    values = [
        ("Email", "EMAIL_INVALID", "bad\u200b@"),
        ("Mobile Number", "MOBILE_INVALID", "12"),
        ("Last Active Date", "DATE_INVALID", "foo"),
    ]
    lacking = [("First Name", "REQUIRED", ""), ("Last Name", "REQUIRED", "")]
    assert faults_in(inserted) == [*values, *lacking]
    assert faults_in(upserted) == values
    assert faults_in(by_earlier_rules) == values[:1]


def faults_in(event: RowRejected) -> list[tuple[str | None, str, str | None]]:
    """Column, code and value of each."""
    first = (event.column, event.code, event.value)
    further = faults_of(event.further_faults)
    return [first, *((fault.column, fault.code, fault.value) for fault in further)]


@pytest.mark.parametrize("mode", ["insert", "delsert"])
@pytest.mark.parametrize(("cells", "column", "code"), INCOMPLETE)
def test_a_line_that_must_make_a_user_is_complete(
    mode: str, cells: dict[str, str], column: str, code: str
) -> None:
    """What a new user needs is required of each line of insert and delsert."""
    event = outcome_of(cells, mode=mode)

    assert isinstance(event, RowRejected)
    assert (event.column, event.code) == (column, code)


@pytest.mark.parametrize(("cells", "_column", "_code"), INCOMPLETE)
def test_an_upsert_may_leave_things_out(cells: dict[str, str], _column: str, _code: str) -> None:
    """The projection knows whether the user exists; it gets the line, to show it if not."""
    event = outcome_of(cells, mode="upsert")

    assert isinstance(event, UserRow)
    assert event.raw is not None


@pytest.mark.parametrize("mode", ["insert", "upsert", "delsert"])
@pytest.mark.parametrize(("header", "cell", "field", "value"), TAKEN)
def test_a_good_value_is_taken(
    mode: str, header: str, cell: str, field: str, value: object
) -> None:
    """Values are trimmed and otherwise kept; dates, flags and phone numbers are understood."""
    event = outcome_of({header: cell}, mode=mode)

    assert isinstance(event, UserRow)
    assert getattr(event, field) == value


def test_the_key_is_compared_without_case_and_spaces() -> None:
    """The email stays as written; the key that is compared does not."""
    event = outcome_of({"Email": " Ada@EXAMPLE.com "})

    assert (event.key, event.email) == ("ada@example.com", "Ada@EXAMPLE.com")


def test_a_mobile_key_is_e164_and_required() -> None:
    """With mobileNumber as the key, a line without it is refused, and one email may come twice."""
    with_key = outcome_of({"Mobile Number": "001 415 5550101"}, reconciliation_key="mobileNumber")
    without = outcome_of({"Mobile Number": " "}, reconciliation_key="mobileNumber")

    assert with_key.key == "+14155550101"
    assert (without.column, without.code) == ("Mobile Number", "KEY_MISSING")


@pytest.mark.parametrize(("name", "cell", "code"), ATTRIBUTES_REFUSED)
def test_a_value_that_is_none_of_its_attribute_is_refused(name: str, cell: str, code: str) -> None:
    """With the name that the file gives the column, and the cell."""
    event = attribute_outcome({name: cell})

    assert (event.column, event.code, event.value) == (name, code, cell.strip()[:1024])


@pytest.mark.parametrize(("name", "cell", "text"), ATTRIBUTES_TAKEN)
def test_a_value_of_an_attribute_is_canonical_text(name: str, cell: str, text: str) -> None:
    """Whatever its type, in the one form in which it is compared."""
    assert attribute_outcome({name: cell}).attributes == {name: text}


def test_blank_attributes_are_kept_or_cleared() -> None:
    """A blank cell says nothing, unless an upsert is told that it clears."""
    cells = {"Shoe Size": "42", "Badge": " "}

    assert attribute_outcome(cells).attributes == {"Shoe Size": "42"}
    for mode in ("insert", "delsert"):
        assert attribute_outcome(cells, mode=mode, blank_cells="clear").attributes == {
            "Shoe Size": "42"
        }
    cleared = attribute_outcome(cells, mode="upsert", blank_cells="clear").attributes
    assert list(cleared.items()) == [
        (name, "42" if name == "Shoe Size" else None) for name in ATTRIBUTES
    ]


@pytest.mark.parametrize(
    ("key", "cell", "expected"),
    [("Badge", " Aa-7 ", "Aa-7"), ("Shoe Size", "+042.50", "42.5"), ("Shoe Size", "-0", "0")],
)
def test_an_attribute_may_tell_users_apart(key: str, cell: str, expected: str) -> None:
    """Its canonical text is the key; a line without it is refused."""
    found = attribute_outcome({key: cell}, reconciliation_key=key)
    missing = attribute_outcome({}, reconciliation_key=key)

    assert (found.key, found.attributes[key]) == (expected, expected)
    assert (missing.column, missing.code) == (key, "KEY_MISSING")


def test_a_key_has_1024_bytes_at_most() -> None:
    """Whatever its characters, of which an attribute may have as many."""
    taken = attribute_outcome({"Badge": "b" * 1024}, reconciliation_key="Badge")
    refused = attribute_outcome({"Badge": "b" * 1023 + "é"}, reconciliation_key="Badge")
    other = attribute_outcome({"Badge": "b" * 1023 + "é"})

    assert taken.key == "b" * 1024
    assert (refused.column, refused.code) == ("Badge", "KEY_TOO_LONG")
    assert other.attributes["Badge"] == "b" * 1023 + "é"


@pytest.mark.parametrize(("cell", "expected"), NEUTRALISED)
def test_an_error_file_is_taken_as_it_is(cell: str, expected: str) -> None:
    """The apostrophe that was put before a formula is taken off, in such a file only."""
    content = csv_of({"First Name": cell}, headers=[*TIDY, "Error Line"])
    (of_errors,) = events_of(content, accepted_job())
    (of_earlier_rules,) = events_of(content, accepted_job(rules_version=1))

    assert of_errors.first_name == expected
    assert (
        of_earlier_rules.first_name == outcome_of({"First Name": cell}).first_name == cell.strip()
    )


def test_a_single_user_is_judged_as_a_line_is() -> None:
    """By the same code: columns of one value each, in the sender's own names."""
    email, state = FIELD_BY_NAME["email"], FIELD_BY_NAME["state"]
    size = attribute_field("Shoe Size", "number")
    names = {field: field.json_name for field in FIELDS}
    cells = {
        field: pa.array([text], pa.string())
        for field, text in ((size, "1e3"), (email, " A@B.cd "), (state, ""))
    }

    validated = validate_columns(cells, names, email)

    fault = validated.faults[int(validated.value_verdicts[0])]
    assert validated.key.array.to_pylist() == ["a@b.cd"]
    assert (fault.column, fault.rule.code) == ("Shoe Size", "NUMBER_INVALID")
    without_key = validate_columns({state: cells[state]}, names, email)
    fault = without_key.faults[int(without_key.value_verdicts[0])]
    assert (fault.column, fault.rule.code) == ("email", "KEY_MISSING")


@pytest.mark.parametrize(("count", "code"), [(9, "TOO_FEW_FIELDS"), (11, "TOO_MANY_FIELDS")])
def test_a_line_has_as_many_fields_as_the_header(count: int, code: str) -> None:
    """A line with fewer or more is refused; those around it are not."""
    content = csv_of({}, {}) + b",".join([b"x"] * count) + b"\n" + csv_of({}).split(b"\r\n")[1]

    events = events_of(content, accepted_job())

    assert [getattr(event, "code", None) for event in events] == [None, None, code, None]
    assert f"{count} fields" in events[2].reason
    assert events[2].line == 4


def test_an_empty_date_is_the_day_of_the_upload() -> None:
    """The day is that of acceptance in UTC, and an upsert marks it as not set."""
    job = accepted_job()
    inserted = outcome_of({"Last Active Date": ""})
    kept = outcome_of({"Last Active Date": ""}, mode="upsert")
    cleared = outcome_of({"Last Active Date": ""}, mode="upsert", blank_cells="clear")

    bit = 1 << 6
    assert inserted.last_active_date == kept.last_active_date == job.accepted_at.date()
    assert [event.present & bit for event in (inserted, kept, cleared)] == [bit, 0, bit]


def test_an_upsert_sets_what_is_not_blank() -> None:
    """Blank cells keep what is there; ``clear`` clears those that no user needs."""
    cells = dict.fromkeys(TIDY, "") | {"Email": "a@b.cd", "Voice Subscription": "no"}

    kept = outcome_of(cells, mode="upsert")
    cleared = outcome_of(cells, mode="upsert", blank_cells="clear")

    assert kept.present == 1 << 2 | 1 << 9
    assert cleared.present == kept.present | 1 << 3 | 1 << 5 | 1 << 6
    assert cleared.mobile_number is None


def test_a_line_longer_than_a_message_is_cut() -> None:
    """A rejection fits in a message however long its line is."""
    content = csv_of({header: "é" * 30_000 for header in TIDY if header != "Email"})
    (event,) = events_of(content, accepted_job())

    assert event.code == "TOO_LONG"
    assert len(event.raw.encode()) < 70_000
    assert len(event.value) == 1024
