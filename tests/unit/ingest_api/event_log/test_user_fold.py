"""A user folded from its events, as the projection applies them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from ingest_api.event_log.user_fold import Rules, UserFold
from schemas.events import AttributeDefined, JobOpened, JobSealed, UserRow
from schemas.read_model.tables import API_SOURCE, REPEAT_OFFSETS
from schemas.rules.fields import FIELD_BY_NAME
from schemas.rules.overwrite import ALL_BITS

if TYPE_CHECKING:
    from schemas.events import AttributeType, Event

NOW = datetime(2026, 11, 25, tzinfo=UTC)
KEY = "ana@example.org"
USER_ID = 11
JOBS = {71: 0, 72: 1, 73: 2}
"""Places of jobs in their order."""
TYPES: dict[str, AttributeType] = {"attributes.tier": "string", "attributes.score": "number"}


RULES = Rules(TYPES, FIELD_BY_NAME["email"])
_numbers = itertools.count()


def row(**values: Any) -> UserRow:
    """An upsert of the user that sets the fields given, of a job or of another producer."""
    present = sum(FIELD_BY_NAME[name].bit for name in values if name in FIELD_BY_NAME)
    number = next(_numbers)
    placed: dict[str, Any] = {"line": number, "sequence": number, "record_number": number}
    its: dict[str, Any] = placed if "job_id" in values else {"event_id": str(number)}
    told: dict[str, Any] = {"mode": "upsert", "key": KEY, **its, **values}
    return UserRow(present=present, occurred_at=NOW, **told)


CREATED = row(mode="insert", job_id=72, record_number=4, first_name="Ana", country="India")


def changes(*events: Event, first: Event = CREATED) -> list[dict[str, tuple[Any, Any]]]:
    """What each event that counts changed, without the first."""
    fold = UserFold(USER_ID, KEY, JOBS.get, RULES)
    entries = [fold.apply(offset, event) for offset, event in enumerate([first, *events])]
    assert entries[0] is not None
    return [entry.changes for entry in entries[1:] if entry is not None]


def test_the_first_event_sets_what_it_has() -> None:
    """Subscriptions that it leaves open are on; what is null is no change."""
    fold = UserFold(USER_ID, KEY, JOBS.get, RULES)
    entry = fold.apply(10, row(mode="insert", first_name="Ana", attributes={"tier": "gold"}))
    assert entry is not None
    assert entry.changes == {
        "first_name": (None, "Ana"),
        "sms_subscription": (None, True),
        "email_subscription": (None, True),
        "voice_subscription": (None, True),
        "attributes.tier": (None, "gold"),
    }


def test_a_job_that_fills_leaves_what_is_there() -> None:
    """Fields and attributes alike; what the user has none of is set."""
    rules = replace(RULES, fills_of={72: 0, 73: ALL_BITS}.__getitem__)
    fold = UserFold(USER_ID, KEY, JOBS.get, rules)
    assert fold.apply(0, CREATED) is not None
    filled = fold.apply(1, row(job_id=73, first_name="Eve", state="Goa", attributes={"tier": "a"}))
    assert filled is not None
    assert filled.changes == {"state": (None, "Goa"), "attributes.tier": (None, "a")}
    assert fold.apply(2, row(job_id=73, state="Kerala", attributes={"tier": "b"})) is None


def test_upserts_change_what_they_set() -> None:
    """A null clears what is optional and leaves what is not; attributes likewise."""
    found = changes(
        row(first_name="Anna", attributes={"tier": "gold"}),
        row(first_name=None, state="Goa", last_active_date=date(2020, 1, 1)),
        row(state=None, last_active_date=None, attributes={"tier": None}),
    )
    assert found == [
        {"first_name": ("Ana", "Anna"), "attributes.tier": (None, "gold")},
        {"state": (None, "Goa"), "last_active_date": (None, date(2020, 1, 1))},
        {"state": ("Goa", None), "attributes.tier": ("gold", None)},
    ]


def test_what_changes_nothing_is_no_entry() -> None:
    """The same again, rejections, and what means another user or key."""
    assert (
        changes(
            row(first_name="Ana"),
            row(mode="insert", first_name="Eve"),
            row(mode="delete"),
            row(user_id=12, first_name="Eve"),
            row(key="eve@example.org", first_name="Eve"),
            AttributeDefined(
                name="tier",
                type="string",
                is_reconciliation_key=False,
                is_indexed=True,
                defined_at=NOW,
                defined_by="admin",
            ),
        )
        == []
    )
    assert changes(row(user_id=USER_ID, first_name="Eve")) == [{"first_name": ("Ana", "Eve")}]


def test_a_pass_that_comes_again_counts_once() -> None:
    """A row is known by its place in its file, which only rises."""
    five = row(job_id=72, record_number=5, first_name="Five")
    six = row(job_id=72, record_number=6, first_name="Six")
    assert changes(five, six, five, six) == [
        {"first_name": ("Ana", "Five")},
        {"first_name": ("Five", "Six")},
    ]


def test_rows_of_a_job_that_is_over_count_for_nothing() -> None:
    """Whether the later job had a row of this user, or only began or ended here."""
    late = row(job_id=71, record_number=9, first_name="Late")
    assert changes(late) == []
    other_producers = row(mode="insert", first_name="Ana")
    opened = JobOpened(
        job_id=72,
        previous_job_id=71,
        mode="upsert",
        lines=1,
        file_name=None,
        sha256="",
        accepted_at=NOW,
        accepted_by="admin",
    )
    assert changes(late, first=other_producers) == [{"first_name": ("Ana", "Late")}]
    assert changes(opened, late, first=other_producers) == []
    assert changes(JobSealed(job_id=73, rows=0, digest=0), late, first=other_producers) == []


def test_rows_of_no_job_of_the_ledger_count_for_nothing() -> None:
    """Such a job was never accepted."""
    assert changes(row(job_id=99, record_number=1, first_name="Eve")) == []


def test_rows_of_a_reverted_job_count_for_nothing() -> None:
    """Those before and after it do, each from what the one before left."""
    fold = UserFold(USER_ID, KEY, JOBS.get, Rules(TYPES, FIELD_BY_NAME["email"], frozenset({73})))
    events = [
        CREATED,
        row(job_id=73, record_number=1, first_name="Undone", state="Goa"),
        row(mode="insert", job_id=73, record_number=2, first_name="Undone"),
        row(first_name="Kept"),
    ]
    entries = [fold.apply(offset, event) for offset, event in enumerate(events)]
    assert [entry and entry.changes.get("first_name") for entry in entries] == [
        (None, "Ana"),
        None,
        None,
        ("Ana", "Kept"),
    ]


def test_a_row_of_another_producer_with_what_no_attribute_is_counts_for_nothing() -> None:
    """The whole row: an unknown attribute, or a text that is not in its type's form."""
    assert changes(row(first_name="Eve", attributes={"colour": "red"})) == []
    assert changes(row(first_name="Eve", attributes={"score": "07"})) == []
    assert changes(row(attributes={"score": "7"})) == [{"attributes.score": (None, "7")}]


def test_a_row_that_is_a_dead_letter_counts_for_nothing() -> None:
    """Unfit values, another key, no event id, and a job that is not its own."""
    assert changes(row(first_name=" Eve")) == []
    assert changes(row(first_name="Eve\0")) == []
    assert changes(row(first_name="Eve", email="eve@example.org")) == []
    assert changes(row(first_name="Eve", event_id=None)) == []
    assert changes(row(first_name="Eve", job_id=72, record_number=9, source="crm")) == []
    assert changes(row(first_name="Eve", job_id=72, record_number=9)) != []


def test_a_write_that_comes_again_counts_once() -> None:
    """By its event id, whatever came in between; other producers' ids say nothing."""
    write = row(source=API_SOURCE, event_id="a", first_name="One")
    between = row(source=API_SOURCE, event_id="b", first_name="Two")
    assert len(changes(write, between, write)) == 2
    fold = UserFold(USER_ID, KEY, JOBS.get, RULES)
    places = [(10, CREATED), (11, write), (12, between), (11 + REPEAT_OFFSETS, write)]
    found = [fold.apply(*place) for place in places]
    assert [entry is not None for entry in found] == [True, True, True, False]
    assert fold.apply(12 + REPEAT_OFFSETS, write) is not None
    producer_row = row(source="crm", event_id="a", first_name="One")
    assert len(changes(producer_row, between, producer_row)) == 3
