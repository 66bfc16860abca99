"""Whose a record is, and where a key stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from deploy.log_migration.erase.data_subject import DataSubject, normalised
from deploy.log_migration.records import CopiedRecord
from schemas.codec.codec import encode
from schemas.events import RowRejected, UserRow
from tests.support.data.read_model_rows import ACCEPTED

if TYPE_CHECKING:
    from schemas.events import Event

_NOW = datetime(2026, 7, 1, tzinfo=UTC)
_EMAIL = DataSubject("ada@a.example", "email", {})
_MOBILE = DataSubject("+4915112345678", "mobileNumber", {})
_BADGE = DataSubject(
    "12",
    "Badge",
    {7: replace(ACCEPTED, job_id=7, header="Email;Badge;Age", delimiter=";")},
)


def record(event: Event | bytes, key: str | None = None) -> CopiedRecord:
    """The event, or what is none, as it stands in the log."""
    value = event if isinstance(event, bytes) else encode(event)
    return CopiedRecord(None if key is None else key.encode(), value, 0, 0)


def row(key: str, **changes: object) -> UserRow:
    """A row with this key."""
    blank = UserRow(mode="upsert", key=key, present=0, occurred_at=_NOW)
    return replace(blank, **changes)


def refused(raw: str, value: str | None = None) -> RowRejected:
    """A refused line."""
    return RowRejected(
        job_id=7,
        record_number=1,
        line=2,
        sequence=0,
        column=None,
        code="X",
        reason="x",
        value=value,
        raw=raw,
    )


@pytest.mark.parametrize(
    ("given", "setting", "key"),
    [
        (" Ada@A.example ", "email", "ada@a.example"),
        ("0049 (151) 123-456.78", "mobileNumber", "+4915112345678"),
        (" 12 ", "Badge", "12"),
    ],
)
def test_a_key_is_asked_for_as_people_write_it(given: str, setting: str, key: str) -> None:
    """And means what the log has."""
    assert normalised(given, setting) == key


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        (_EMAIL, record(row("ada@a.example"), "ada@a.example")),
        (_EMAIL, record(row("other@a.example"), "ada@a.example")),
        (_EMAIL, record(row("Ada@A.example "), "Ada@A.example ")),
        (_MOBILE, record(row("0049 151 12345678"), "0049 151 12345678")),
        (_BADGE, record(row(" 12"), " 12")),
        (_EMAIL, record(refused('"x",ADA@A.Example,"y'), "7/1")),
        (_EMAIL, record(refused("x", "ada@a.example"), "7/1")),
        (_EMAIL, record(b"no event, of Ada@a.example")),
        (_MOBILE, record(refused("x,0049 (151) 12345678,y"), "7/1")),
        (_MOBILE, record(refused("x|+49-151-123-456-78|1"), "7/1")),
        (_BADGE, record(row("12"), "12")),
        (_BADGE, record(refused('a@b.cc;" 12 ";33'), "7/1")),
        (_BADGE, record(refused("12;too;many;cells"), "7/1")),
    ],
)
def test_records_of_the_data_subject_are_found(subject: DataSubject, found: CopiedRecord) -> None:
    """Rows of the key, refused lines with it, and what is no event and says it."""
    assert subject.owns(found)
    assert subject.mentions(found)


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        (_EMAIL, record(row("ada@a.example.com"), "ada@a.example.com")),
        (_EMAIL, record(refused("x,lada@a.example,y"), "7/1")),
        (_EMAIL, record(refused("x,ada@a.example-x.org,y"), "7/1")),
        (_MOBILE, record(refused("x,+49151123456789,y"), "7/1")),
        (_BADGE, record(row("123"), "123")),
        (_BADGE, record(refused("a@b.cc;13;12"), "7/1")),
    ],
)
def test_records_of_others_are_let_alone(subject: DataSubject, found: CopiedRecord) -> None:
    """A longer address or number is another one; a number in another column means nothing."""
    assert not subject.owns(found)


def test_a_record_of_another_one_that_says_the_key_is_noticed() -> None:
    """It is not theirs, and it is not silently left."""
    attributes = {"referred by": "Ada@a.example"}
    found = record(row("b@b.example", attributes=attributes), "b@b.example")
    assert not _EMAIL.owns(found)
    assert _EMAIL.mentions(found)
    assert not _EMAIL.mentions(record(row("c@c.example", source="x"), "c@c.example"))
