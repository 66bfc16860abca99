"""Lines are taken or refused by the rules, in columns as one at a time."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.parsing.file_format import FileFormat, Limits
from ingest_api.validation.validate import survey, validate_columns
from schemas.events import JOB_MODES, ColumnMapping, RowRejected, UserRow
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
    REFUSED_FOR,
    TAKEN,
    TIDY,
)
from tests.support.data.files import csv_of
from tests.support.models.file_oracle import (
    HEADERS,
    UNSEEN_REASONS,
    accepted_job,
    read_events,
)
from tests.support.models.validated_events import (
    COLUMNS,
    attribute_outcome,
    events_of,
    outcome_of,
)

if TYPE_CHECKING:
    from schemas.events import JobAccepted


KEY_ATTRIBUTES = ("Badge", "Shoe Size")
OPPOSITES = {"Email Opt Out": "!Email Subscription", "Do Not Call": "!voiceSubscription"}


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


headers = st.lists(
    st.sampled_from(
        [*HEADERS.values(), *ATTRIBUTES, *ATTRIBUTES, *OPPOSITES, "Error Line", "Error Reason"]
    ),
    unique=True,
    max_size=16,
).map(lambda names: [*names, *(name for name in ("Email", *KEY_ATTRIBUTES) if name not in names)])
numbers = st.from_regex(r"[+-]?0{0,2}[0-9]{0,17}(\.[0-9]{0,17}0{0,2})?", fullmatch=True)
neutralised = st.tuples(st.sampled_from(["'", "''", ""]), st.sampled_from("=+-@\t\rx"), numbers)
spaces = st.one_of(
    st.just(""),
    st.sampled_from(
        " \t\u00a0\u3000\u2028\u0085\x1f\ufeff\u200b\u00ad\u200f\u202a\ufe0f\U000e0020\u3164\x07"
    ),
)
addresses = st.from_regex(
    r"[a-zé.\-+'\" _(\u200b]{0,4}@?[a-zü.\-_1\uff41:]{0,6}(xn--)?\.[a-z1.\-]{0,5}", fullmatch=True
)
phones = st.from_regex(
    r"(\+|00)(1|7|39|44|49|54|55|52|61|800|882|999|3)[0-9 ().\u00a0\u2011\u200e-]{3,14}",
    fullmatch=True,
)
moments = st.from_regex(
    r"([0-9]{1,2}/[0-9]{1,2}/20[0-9]{2},?|20[0-9]{2}-[01][0-9]-[0-3][0-9])[T \u202f]"
    r"[0-2]?[0-9](:[0-6][0-9]){0,2}(\.[0-9]{1,3})?( ?[AaPp]M)?"
    r"( ?(Z|GMT|UTC|[+-][0-2][0-9]:?([0-6][0-9])?))?",
    fullmatch=True,
)
cores = st.one_of(
    st.sampled_from(
        [cell for _, cell, *_ in (*REFUSED, *REFUSED_FOR, *TAKEN) if len(cell) < 300]
        + [cell for changed, *_ in INCOMPLETE for cell in changed.values()]
        + [cell for _, cell, _ in (*ATTRIBUTES_REFUSED, *ATTRIBUTES_TAKEN) if len(cell) < 300]
        + ["", "", "ada@example.com", "B@C.DE", "UK", "x"]
    ),
    st.text(st.sampled_from('a1@.+-/ 0é字\u0000\u1680\u200a\r\n",'), max_size=8).map(
        lambda text: text.replace("\0", "")
    ),
    st.from_regex(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}|[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True),
    st.from_regex(r"(\+|00)?[0-9 ().-]{5,18}", fullmatch=True),
    st.from_regex(r"[A-Za-z.é]{0,3}@?[a-z.ü]{1,6}", fullmatch=True),
    addresses,
    phones,
    moments,
    numbers,
    neutralised.map("".join),
)
texts = st.just("") | st.tuples(spaces, cores, spaces).map("".join)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file with any columns, with lines of any cells, now and then of another number."""
    names = draw(headers)
    counts = draw(st.lists(st.sampled_from([0, 0, 0, 0, 0, -1, 1]), min_size=1, max_size=6))
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])))
    writer.writerow(names)
    for more in counts:
        count = max(1, len(names) + more)
        row = draw(st.lists(texts, min_size=count, max_size=count))
        writer.writerow(row)
    writer.writerow(["x"])  # a file of blank lines alone is refused as a whole
    return out.getvalue().encode()


@given(
    files(),
    st.fixed_dictionaries(
        {
            "mode": st.sampled_from(JOB_MODES),
            "blank_cells": st.sampled_from(["keep", "clear"]),
            "reconciliation_key": st.sampled_from(["email", *KEY_ATTRIBUTES]),
            "rules_version": st.sampled_from([1, 2, 3]),
        }
    ),
    st.integers(20, 400),
)
@settings(deadline=None)
def test_columns_are_judged_as_lines_are(
    content: bytes, changes: dict[str, Any], block_bytes: int
) -> None:
    """The columnar checks and the plain oracle agree on every field of every event."""
    job = accepted_job(attributes=COLUMNS, columns=opposites_in(content), **changes)

    found = [comparable(event, job) for event in events_of(content, job, block_bytes)]
    assert found == [comparable(event, job) for event in read_events(content, job)]


@given(
    files(),
    st.fixed_dictionaries(
        {
            "mode": st.sampled_from(["upsert", "update", "delete"]),
            "blank_cells": st.sampled_from(["keep", "clear"]),
            "phone_region": st.sampled_from([None, "US", "DE", "IT", "RU"]),
            "date_order": st.sampled_from(["MDY", "DMY", "YMD"]),
            "invalid_optional": st.sampled_from(["reject", "drop"]),
        }
    ),
)
@settings(deadline=None)
def test_a_line_comes_to_the_same_whatever_stands_beside_it(
    content: bytes, changes: dict[str, Any]
) -> None:
    """Columns are checked whole; with options that the plain oracle doesn't know, too."""
    job = accepted_job(attributes=COLUMNS, columns=opposites_in(content), **changes)
    names, *records, last = csv.reader(io.StringIO(content.decode(), newline=""))

    def events(rows: list[list[str]]) -> list[UserRow | RowRejected]:
        out = io.StringIO(newline="")
        csv.writer(out, quoting=csv.QUOTE_ALL).writerows([names, *rows, last])
        found = events_of(out.getvalue().encode(), job)[:-1]  # without the last
        return [replace(event, record_number=0, line=0) for event in found]

    assert events(records) == [event for record in records for event in events([record])]


def opposites_in(content: bytes) -> tuple[ColumnMapping, ...]:
    """What is said of the columns that say who has opted out."""
    (names,) = csv.reader([content.decode().partition("\r\n")[0]])
    return tuple(ColumnMapping(name, OPPOSITES[name]) for name in names if name in OPPOSITES)


def comparable(event: UserRow | RowRejected, job: JobAccepted) -> UserRow | RowRejected:
    """The event without the reasons that the oracle does not know."""
    if not isinstance(event, RowRejected) or job.rules_version < 3:
        return event
    further = [
        fault | {"reason": ""} if fault["code"] in UNSEEN_REASONS else fault
        for fault in json.loads(event.further_faults or "[]")
    ]
    reason = "" if event.code in UNSEEN_REASONS else event.reason
    return replace(event, reason=reason, further_faults=json.dumps(further))


@given(files(), st.integers(20, 400))
@settings(deadline=None)
def test_a_survey_counts_what_each_mode_refuses(content: bytes, block_bytes: int) -> None:
    """Lines and rejections of the survey are those of the pass that follows, for each mode."""
    file_format = FileFormat(attributes=COLUMNS, columns=opposites_in(content))
    found = survey(io.BytesIO(content), file_format, Limits(block_bytes=block_bytes))

    for mode, rejected in found.rejected.items():
        events = read_events(content, accepted_job(mode=mode, attributes=COLUMNS))
        assert found.lines == len(events)
        assert rejected == sum(isinstance(event, RowRejected) for event in events)
