"""The log decides which attempt at a job counts, alike for everyone who reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from ingest_api.event_log.ledger import JobLedger
from schemas.events import JobVoided
from tests.support.models.file_oracle import accepted_job

if TYPE_CHECKING:
    from schemas.events import Event, JobAccepted


def accepted(job_id: int, attempt: str, **changes: Any) -> JobAccepted:
    """An attempt at a job."""
    return replace(accepted_job(), job_id=job_id, attempt=attempt, **changes)


def voided(job_id: int, attempt: str) -> JobVoided:
    """Its withdrawal."""
    return JobVoided(job_id=job_id, attempt=attempt)


def ledger_of(*events: Event) -> JobLedger:
    """The ledger after these events."""
    ledger = JobLedger()
    for offset, event in enumerate(events):
        ledger.apply(offset, event)
    return ledger


def test_jobs_follow_each_other_as_accepted() -> None:
    """Each job names the one before it; the first names none."""
    ledger = ledger_of(accepted(7, "a"), accepted(5, "b"), accepted(9, "c"))

    found = [(job.accepted.job_id, job.previous_job_id, job.offset) for job in ledger.jobs]
    assert found == [(7, 0, 0), (5, 7, 1), (9, 5, 2)]


def test_the_first_attempt_counts() -> None:
    """A later attempt with the same content is the same job, with another a conflict."""
    ledger = ledger_of(
        accepted(7, "a"),
        accepted(7, "b"),
        accepted(7, "c", sha256="f" * 64),
        accepted(7, "d", mode="upsert"),
        accepted(7, "e", delimiter=";"),
        accepted(7, "f", blank_cells="clear"),
        accepted(7, "i", phone_region="GB"),
        accepted(7, "j", date_order="DMY"),
        accepted(7, "g", file_name="other.csv"),
        accepted(7, "k", fills=1),
    )

    decisions = [ledger.decision(7, attempt) for attempt in "abcdefgh"]
    assert decisions == ["accepted", "same", *["conflict"] * 4, "same", None]
    assert [ledger.decision(7, attempt) for attempt in "ijk"] == ["conflict"] * 3
    assert len(ledger.jobs) == 1


def test_a_void_before_its_attempt_withdraws_it() -> None:
    """Of an attempt and its withdrawal the first in the log decides."""
    ledger = ledger_of(
        voided(7, "a"), accepted(7, "a"), accepted(7, "b"), voided(7, "b"), accepted(8, "c")
    )

    assert [ledger.decision(7, attempt) for attempt in "ab"] == ["voided", "accepted"]
    assert [job.accepted.attempt for job in ledger.jobs] == ["b", "c"]
    assert ledger.jobs[1].previous_job_id == 7


def test_an_attempt_that_stands_twice_in_the_log_counts_once() -> None:
    """A retry of the producer changes no decision."""
    ledger = ledger_of(accepted(7, "a"), accepted(8, "b"), accepted(7, "a"))

    assert ledger.decision(7, "a") == "accepted"
    assert [job.accepted.job_id for job in ledger.jobs] == [7, 8]


events = st.one_of(
    st.builds(
        accepted, st.integers(1, 3), st.sampled_from("abc"), sha256=st.sampled_from(["0", "1"])
    ),
    st.builds(voided, st.integers(1, 3), st.sampled_from("abc")),
)


@given(st.lists(events, max_size=20), st.integers(0, 20))
def test_a_decision_never_changes(log: list[Event], read_up_to: int) -> None:
    """What one reader knew at some offset, every later reader finds again; repeats are skipped."""
    early, late = ledger_of(*log[:read_up_to]), ledger_of(*log)

    for attempt in [(job_id, name) for job_id in (1, 2, 3) for name in "abc"]:
        assert early.decision(*attempt) in {None, late.decision(*attempt)}
    assert list(late.jobs[: len(early.jobs)]) == list(early.jobs)
    for offset, event in enumerate(log):
        late.apply(offset, event)
    assert list(late.jobs) == list(ledger_of(*log).jobs)


def test_an_attempt_that_the_tables_cannot_hold_counts_as_voided() -> None:
    """No API has sent it; a sound one of the same job counts."""
    ledger = JobLedger()
    ledger.apply(0, accepted(7, "a", file_name="users\0.csv"))
    ledger.apply(1, accepted(7, "b", file_name="users.csv"))
    assert ledger.decision(7, "a") == "voided"
    assert ledger.decision(7, "b") == "accepted"
    assert [job.offset for job in ledger.jobs] == [1]
