"""What counts as a change behind a letter, and what a retry would set."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from deploy.cli.commands.log.producers import log_order
from ingest_api.event_log.user_fold import Rules
from ingest_api.producers.later_changes import Holder, LaterChanges, Retriable, would_set
from schemas.events import JobOpened, JobSealed, UserRow
from schemas.rules.fields import FIELD_BY_NAME

if TYPE_CHECKING:
    from schemas.events import Event, JobMode

NOW = datetime(2026, 11, 25, tzinfo=UTC)
KEY = "ana@example.org"
USER_ID = 6
"""Made at offset 5, before the letter."""
LETTER = Retriable(KEY, b"letter", 0, 10)
JOBS = {71: 0, 72: 1, 73: 2}
RULES = Rules.of("email", {"tier": "string", "score": "number"}, [73])


def row(**values: Any) -> UserRow:
    """An upsert of the key by another producer, or by a job."""
    present = sum(FIELD_BY_NAME[name].bit for name in values if name in FIELD_BY_NAME)
    placed: dict[str, Any] = {"line": 2, "sequence": 0, "record_number": 1}
    its = placed if "job_id" in values else {"event_id": "x"}
    told: dict[str, Any] = {"mode": "upsert", "key": KEY, **its, **values}
    return UserRow(present=present, occurred_at=NOW, **told)


WHOLE = {"first_name": "Ana", "last_name": "Lee", "email": KEY, "country": "India"}


def opened(job_id: int, mode: JobMode = "upsert") -> JobOpened:
    """A job begins."""
    return JobOpened(
        job_id=job_id, previous_job_id=0, mode=mode, lines=1, file_name=None, sha256="",
        accepted_at=NOW, accepted_by="admin",
    )  # fmt: skip


def last(*events: Event, user_id: int | None = USER_ID, first: int = 11) -> int | None:
    """The offset of the last change among these."""
    changes = LaterChanges(LETTER, user_id, JOBS.get, RULES)
    for offset, event in enumerate(events, first):
        changes.apply(offset, 0, event)
    return changes.last and changes.last.offset


def test_upserts_and_deletes_behind_the_letter_are_changes() -> None:
    """The last one is told; those before the letter are none."""
    assert last() is None
    assert last(row(last_name="A"), row(last_name="B")) == 12
    assert last(row(mode="delete")) == 11
    assert last(row(last_name="A"), first=10) is None
    assert last(row(job_id=71, last_name="A")) == 11


def test_what_was_refused_is_no_change() -> None:
    """Inserts of a key that exists, other keys and users, and what is unfit by itself."""
    refused = [
        row(mode="insert", **WHOLE),
        row(job_id=71, mode="insert", **WHOLE),
        row(user_id=99, last_name="A"),
        row(mode="delete", user_id=99),
        row(last_name=" A"),
        row(event_id=None, last_name="A"),
        row(job_id=71, source="crm", last_name="A"),
        replace(row(last_name="A"), key="eve@example.org"),
    ]
    for event in refused:
        assert last(event) is None, event


def test_where_nobody_has_the_key_whatever_made_or_removed_a_user_is_a_change() -> None:
    """What could make none is none."""
    assert last(row(mode="insert", **WHOLE), user_id=None) == 11
    assert last(row(mode="delete"), user_id=None) == 11
    assert last(row(mode="delete", user_id=99), user_id=None) == 11
    assert last(row(last_name="A"), user_id=None) is None
    assert last(row(**(WHOLE | {"country": "USA"})), user_id=None) is None
    later_user = 13  # made at offset 12
    assert last(row(mode="delete"), row(**WHOLE), user_id=later_user) == 12
    assert last(row(mode="insert", **WHOLE), user_id=later_user) == 11


def test_a_delsert_behind_the_letter_is_a_change_of_every_key() -> None:
    """Unless it is undone, or comes again."""
    assert last(opened(72, "delsert")) == 11
    assert last(opened(73, "delsert")) is None
    assert last(opened(71)) is None
    assert last(opened(72), opened(71, "delsert")) is None


def test_a_line_of_a_job_that_deletes_is_a_change_of_its_key() -> None:
    """It sets nothing, and its user is gone; a line of another job that sets nothing is none."""
    named = row(job_id=72)
    assert last(opened(72, "delete"), named, user_id=None) == 12
    assert last(opened(72, "update"), named, user_id=None) is None


def test_rows_of_passes_that_come_again_are_no_changes() -> None:
    """Nor are those of a job that is undone."""
    mine = row(job_id=71, last_name="A")
    assert last(mine, mine, first=10) is None
    assert last(opened(72), mine) is None
    assert last(JobSealed(job_id=72, rows=0, digest=0), mine) is None
    assert last(row(job_id=73, last_name="A")) is None
    changes = LaterChanges(LETTER, USER_ID, JOBS.get, RULES)
    changes.begin_behind(71)
    changes.apply(11, 0, mine)
    assert changes.last is None


HOLDER = Holder(USER_ID, WHOLE | {"attributes.score": 7, "last_active_date": date(2026, 1, 2)})
TYPES = RULES.types


def test_what_a_retry_would_set_is_told_by_field() -> None:
    """As a user is shown with it, only where it differs."""
    upsert = row(last_name="Old", country="India", attributes={"score": "8", "tier": "gold"})
    assert would_set(upsert, HOLDER, TYPES) == {
        "lastName": {"now": "Lee", "wouldBe": "Old"},
        "attributes.score": {"now": 7, "wouldBe": 8},
        "attributes.tier": {"now": None, "wouldBe": "gold"},
    }
    deleted = would_set(row(mode="delete"), HOLDER, TYPES)
    assert deleted["lastActiveDate"] == {"now": "01/02/2026 12:00:00 AM GMT", "wouldBe": None}
    made = would_set(row(mode="insert", **WHOLE), None, TYPES)
    assert made["smsSubscription"] == {"now": None, "wouldBe": True}


def test_a_retry_that_would_be_refused_sets_nothing() -> None:
    """Of a key that exists, of another user, of nobody."""
    assert would_set(row(mode="insert", **WHOLE), HOLDER, TYPES) == {}
    assert would_set(row(user_id=99, last_name="A"), HOLDER, TYPES) == {}
    assert would_set(row(user_id=USER_ID, last_name="A"), None, TYPES) == {}
    assert would_set(row(last_name="A"), None, TYPES) == {}


def listed(letter_id: str, place: int, retried: int | None = None) -> dict[str, Any]:
    """A letter as a list shows it."""
    attempt = None if retried is None else {"partition": 0, "offset": retried}
    return {"id": letter_id, "sourcePartition": 0, "sourceOffset": place, "retried": attempt}


@given(st.permutations(range(5)), st.data())
def test_letters_are_retried_in_the_order_in_which_they_first_stood(
    again: list[int], data: st.DataObject
) -> None:
    """However often each was retried and failed, in whatever order."""
    letters = [listed(f"{number}", number) for number in range(5)]
    latest = {number: letters[number] for number in range(5)}
    for number in again[: data.draw(st.integers(0, 5))]:
        place = len(letters)
        latest[number]["retried"] = {"partition": 0, "offset": place}
        latest[number] = listed(f"{number}.{place}", place)
        letters.append(latest[number])
    newest_first = letters[::-1]
    wanted = [each for each in newest_first if each["retried"] is None]
    order = log_order(wanted, newest_first)
    assert [found.partition(".")[0] for found in order] == ["0", "1", "2", "3", "4"]
